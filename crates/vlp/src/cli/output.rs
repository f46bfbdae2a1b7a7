//! What the program writes to its standard streams.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

use vlp::VlpError;

/// Writes to standard output at once. A reader that has seen enough (`| head`) is no fault.
///
/// # Errors
/// [`VlpError::Io`] for any other reason, such as a full disk.
pub(crate) fn print(text: Arguments<'_>) -> Result<(), VlpError> {
    let mut out = io::stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => Err(VlpError::Io {
            path: "standard output".into(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Writes a line to standard error, for whoever still reads it.
pub(crate) fn warn(text: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
