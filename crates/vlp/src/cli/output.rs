//! Standard output and standard error.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use vlp::VlpError;
use vlp::format::{NAME_WIDTH, format_metric};
use vlp::report::EarlierFile;

/// Writes to standard output and flushes. A reader that closed the pipe (`| head`) is not an error.
///
/// # Errors
/// [`VlpError::Io`] for any other reason, such as a full disk.
pub(super) fn print(text: Arguments<'_>) -> Result<(), VlpError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => Err(VlpError::Io {
            path: "standard output".into(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Prints a line with a metric's name and value.
///
/// # Errors
/// As [`print`].
pub(super) fn print_metric(name: &str, value: Option<f64>) -> Result<(), VlpError> {
    print(format_args!(
        "{name:NAME_WIDTH$} {:>9}\n",
        format_metric(value)
    ))
}

/// Writes a line to standard error, at once: several processes may write to it. Failures are ignored.
pub(crate) fn warn(text: Arguments<'_>) {
    let line = format!("{text}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// A text of the data as one line of a terminal: control characters as escapes.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

/// Refuses an empty text.
///
/// # Errors
/// [`VlpError::Config`] that names the flag.
pub(super) fn check_text(flag: &str, text: &str) -> Result<(), VlpError> {
    match text.trim().is_empty() {
        true => Err(VlpError::Config(format!("{flag}: the text is empty"))),
        false => Ok(()),
    }
}

/// Refuses the value of a flag that names a file in a folder that is not there, or a file that is not an `earlier` output,
/// before the work is done.
///
/// # Errors
/// [`VlpError::Config`] that names the folder or the file; as [`EarlierFile::check`].
pub(super) fn check_file(flag: &str, file: &Path, earlier: EarlierFile) -> Result<(), VlpError> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let reason = if file.is_dir() {
        "it is a folder; name a file".into()
    } else if !folder.is_dir() {
        format!("there is no folder {}; create it first", folder.display())
    } else {
        return earlier.check(file);
    };
    let file = file.display();
    Err(VlpError::Config(format!("{flag} {file}: {reason}")))
}

/// Refuses the value of a flag that names a folder where a file is in the way, before the work is done.
///
/// # Errors
/// [`VlpError::Config`] that names the file.
pub(super) fn check_folder(flag: &str, folder: &Path) -> Result<(), VlpError> {
    let nearest = folder.ancestors().find(|path| path.exists());
    match nearest.filter(|path| !path.is_dir()) {
        None => Ok(()),
        Some(file) => Err(VlpError::Config(format!(
            "{flag} {}: {} is a file; name a folder",
            folder.display(),
            file.display()
        ))),
    }
}
