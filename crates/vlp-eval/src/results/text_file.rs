//! Opening text files that may begin with a byte order mark.

use std::fs::File;
use std::io::{BufReader, Chain, Cursor, Error, ErrorKind, Read};
use std::path::Path;

use super::error::FileError;

/// UTF-8 text: what was read to find the byte order mark, then the rest of the file.
pub(super) type TextReader = BufReader<Chain<Cursor<Vec<u8>>, File>>;

const UTF_8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Opens a text file and skips its byte order mark. UTF-16 with a mark, as Windows PowerShell writes it, is converted.
pub(super) fn open_text(path: &Path) -> Result<TextReader, FileError> {
    let fail = |source| FileError::Read {
        file: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(fail)?;
    let mut start = Vec::new();
    let mark_len = UTF_8_MARK.len() as u64;
    file.by_ref()
        .take(mark_len)
        .read_to_end(&mut start)
        .map_err(fail)?;
    let decode: Option<fn([u8; 2]) -> u16> = match start.as_slice() {
        UTF_8_MARK => {
            start.clear();
            None
        }
        [0xFF, 0xFE, ..] => Some(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => Some(u16::from_be_bytes),
        _ => None,
    };
    if let Some(decode) = decode {
        file.read_to_end(&mut start).map_err(fail)?;
        let units = start[2..].chunks(2).map(|unit| match *unit {
            [first, second] => decode([first, second]),
            // A file cut within a character: a lone surrogate is refused below.
            _ => 0xDC00,
        });
        let text: Result<String, _> = char::decode_utf16(units).collect();
        let text = text.map_err(|_| fail(Error::new(ErrorKind::InvalidData, "invalid UTF-16")))?;
        start = text.into_bytes();
    }
    Ok(BufReader::new(Cursor::new(start).chain(file)))
}
