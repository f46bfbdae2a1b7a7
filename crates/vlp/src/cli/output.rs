//! Standard output and standard error.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

use vlp::VlpError;
use vlp::format::format_metric;

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
    print(format_args!("{name:34} {:>9}\n", format_metric(value)))
}

/// Writes a line to standard error, at once: several processes may write to it. Failures are ignored.
pub(crate) fn warn(text: Arguments<'_>) {
    let line = format!("{text}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
