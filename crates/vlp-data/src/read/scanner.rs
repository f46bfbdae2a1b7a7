use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use crate::DataError;

/// Maximum length of a record in bytes; longer ones are skipped.
pub(crate) const MAX_RECORD: usize = 64 << 20;

/// Appends to a record; `false` if it would exceed [`MAX_RECORD`].
pub(super) fn append(record: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let fits = record.len() + bytes.len() <= MAX_RECORD;
    if fits {
        record.extend_from_slice(bytes);
    }
    fits
}

/// A streaming JSON tokenizer that finds the ends of values by their brackets and quotes, without parsing them.
pub(super) struct Scanner<'a> {
    pub(super) reader: BufReader<File>,
    path: &'a Path,
    /// From 1.
    line: usize,
}

impl<'a> Scanner<'a> {
    /// Opens a file and skips its byte order mark, if any.
    pub(super) fn open(path: &'a Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(DataError::io(path))?;
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let start = reader.fill_buf().map_err(DataError::io(path))?;
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            return Err(DataError::Format {
                path: path.into(),
                reason: "it is UTF-16; save it as UTF-8".into(),
            });
        }
        if start.starts_with(b"\xef\xbb\xbf") {
            reader.consume(3);
        }
        Ok(Self {
            reader,
            path,
            line: 1,
        })
    }

    pub(super) fn format_error(&self, message: String) -> DataError {
        DataError::Format {
            path: self.path.into(),
            reason: format!("line {}: {message}", self.line),
        }
    }

    fn truncated(&self) -> DataError {
        self.format_error("the file ends unexpectedly; is it truncated?".into())
    }

    /// The next byte that is not white space, not consumed.
    pub(super) fn peek(&mut self) -> Result<u8, DataError> {
        loop {
            let buffer = self.reader.fill_buf().map_err(DataError::io(self.path))?;
            match buffer.first() {
                None => return Err(self.truncated()),
                Some(b'\n') => self.line += 1,
                Some(byte) if byte.is_ascii_whitespace() => {}
                Some(&byte) => return Ok(byte),
            }
            self.reader.consume(1);
        }
    }

    /// The next byte that is not white space, consumed.
    pub(super) fn token(&mut self) -> Result<u8, DataError> {
        let byte = self.peek()?;
        self.reader.consume(1);
        Ok(byte)
    }

    /// Consumes the token `byte`.
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), DataError> {
        if self.token()? == byte {
            return Ok(());
        }
        Err(self.format_error(format!("expected {:?}", char::from(byte))))
    }

    /// Consumes a value and appends it to `output`; `false` if it was too long for that.
    pub(super) fn value(&mut self, mut output: Option<&mut Vec<u8>>) -> Result<bool, DataError> {
        let (mut depth, mut in_string, mut escaped, mut fits) = (0_usize, false, false, true);
        loop {
            let buffer = self.reader.fill_buf().map_err(DataError::io(self.path))?;
            if buffer.is_empty() {
                return Err(self.truncated());
            }
            let mut end = None;
            for (index, &byte) in buffer.iter().enumerate() {
                if byte == b'\n' {
                    self.line += 1;
                }
                if in_string {
                    match byte {
                        _ if escaped => escaped = false,
                        b'\\' => escaped = true,
                        b'"' => in_string = false,
                        _ => continue,
                    }
                    if in_string || depth > 0 {
                        continue;
                    }
                    end = Some(index + 1);
                    break;
                }
                match byte {
                    b'"' => in_string = true,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' | b',' | b':' if depth == 0 => end = Some(index),
                    b'}' | b']' => {
                        depth -= 1;
                        if depth == 0 {
                            end = Some(index + 1);
                        }
                    }
                    _ => {}
                }
                if end.is_some() {
                    break;
                }
            }
            let consumed = end.unwrap_or(buffer.len());
            if let Some(output) = output.as_deref_mut() {
                fits &= append(output, &buffer[..consumed]);
            }
            self.reader.consume(consumed);
            if end.is_some() {
                return Ok(fits);
            }
        }
    }
}
