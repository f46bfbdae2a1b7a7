//! The members of a tar archive with the places of their bytes; strict, as a shard may come from anywhere.
//!
//! Fields and checksums are read by the `tar` crate. The walk from header to header is made here: its own iterator ends
//! silently at a cut-off archive, and follows a PAX size against the header's.

use tar::{EntryType, Header, PaxExtensions};

use super::Blobs;
use crate::DataError;

const BLOCK: u64 = 512;
/// Longest PAX or GNU header extension.
const MAX_EXTENSION: u64 = 1 << 20;
/// Bytes read at once while the walk goes from header to header.
const AHEAD: u64 = 32 << 10;

/// A regular file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) len: u64,
}

/// What stands next in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    File(Member),
    Folder,
    /// A member that is not taken, and why; the walk goes on after it.
    Refused {
        name: String,
        reason: String,
    },
    /// The archive is wrong from here on.
    Broken(String),
}

/// A walk over one shard.
pub(super) struct Walk<'a> {
    blobs: &'a dyn Blobs,
    shard: &'a str,
    len: u64,
    at: u64,
    ended: bool,
    buffer: Vec<u8>,
    buffer_at: u64,
    /// Name of the last whole member, for messages.
    last: String,
}

/// What header extensions say of the member after them.
#[derive(Default)]
struct Extension {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
    pax: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(blobs: &'a dyn Blobs, shard: &'a str, len: u64) -> Self {
        Self {
            blobs,
            shard,
            len,
            at: 0,
            ended: false,
            buffer: Vec::new(),
            buffer_at: 0,
            last: String::new(),
        }
    }

    /// The next member; `None` after the archive's end mark, or after [`Found::Broken`].
    ///
    /// # Errors
    /// When the shard cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Found>, DataError> {
        if self.ended {
            return Ok(None);
        }
        match self.member()? {
            Ok(Some(found)) => Ok(Some(found)),
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err(reason) => {
                self.ended = true;
                let after = match self.last.as_str() {
                    "" => "at its start".to_owned(),
                    last => format!("after its member {last}, the last whole one"),
                };
                Ok(Some(Found::Broken(format!("{reason}, {after}"))))
            }
        }
    }

    /// Bytes of the shard, which lie inside of it; small ones through a buffer.
    ///
    /// # Errors
    /// When the shard cannot be read.
    pub(super) fn bytes(&mut self, start: u64, len: u64) -> Result<Vec<u8>, DataError> {
        if len > AHEAD {
            return self.blobs.read(self.shard, start, len as usize);
        }
        let end = self.buffer_at + self.buffer.len() as u64;
        if start < self.buffer_at || start + len > end {
            let ahead = AHEAD.min(self.len.saturating_sub(start)).max(len);
            self.buffer = self.blobs.read(self.shard, start, ahead as usize)?;
            self.buffer_at = start;
        }
        let from = (start - self.buffer_at) as usize;
        Ok(self.buffer[from..from + len as usize].to_vec())
    }

    fn member(&mut self) -> Result<Result<Option<Found>, String>, DataError> {
        let mut extension = Extension::default();
        loop {
            if self.len - self.at < BLOCK {
                return Ok(Err("it is cut off: its end mark is missing".into()));
            }
            let block = self.bytes(self.at, BLOCK)?;
            if block.iter().all(|&byte| byte == 0) {
                if extension.name.is_some() || extension.pax {
                    return Ok(Err("a header extension without a member".into()));
                }
                return self.end();
            }
            let header = Header::from_byte_slice(&block);
            let size = match size(header) {
                Ok(size) => size,
                Err(reason) => return Ok(Err(reason)),
            };
            let start = self.at + BLOCK;
            let Some(end) = start.checked_add(size).filter(|&end| end <= self.len) else {
                return Ok(Err(format!(
                    "it is cut off at byte {}: a member of {size} bytes starts at {start}",
                    self.len
                )));
            };
            // The padding of the last member may be cut off: it is whole all the same, and the next step says so.
            self.at = end.next_multiple_of(BLOCK).min(self.len);
            let kind = header.entry_type();
            if matches!(
                kind,
                EntryType::XHeader
                    | EntryType::XGlobalHeader
                    | EntryType::GNULongName
                    | EntryType::GNULongLink
            ) {
                if size > MAX_EXTENSION {
                    return Ok(Err(format!(
                        "a header extension of {size} bytes, more than {MAX_EXTENSION}"
                    )));
                }
                let bytes = self.bytes(start, size)?;
                if let Err(reason) = extension.read(kind, bytes) {
                    return Ok(Err(reason));
                }
                continue;
            }
            return Ok(self.found(header, &extension, start, size).map(Some));
        }
    }

    fn found(
        &mut self,
        header: &Header,
        extension: &Extension,
        start: u64,
        size: u64,
    ) -> Result<Found, String> {
        // A reader that follows the one size takes what is inside a member for members, one that follows the other
        // does not: such archives are made to deceive.
        if let Some(other) = extension.size.filter(|&other| other != size) {
            return Err(format!(
                "a member of {size} bytes by its header and {other} by its PAX extension"
            ));
        }
        let kind = header.entry_type();
        if extension.sparse || kind == EntryType::GNUSparse {
            return Err("a sparse file".into());
        }
        // Of these some readers skip the bytes that the header announces and some do not.
        if size > 0 && (kind.is_dir() || kind.is_hard_link() || kind.is_symlink()) {
            return Err(format!("a folder or link of {size} bytes"));
        }
        let bytes = match &extension.name {
            Some(name) => name.as_slice().into(),
            None => header.path_bytes(),
        };
        let name = match std::str::from_utf8(&bytes) {
            Ok(name) => name.to_owned(),
            Err(_) => String::from_utf8_lossy(&bytes).into_owned(),
        };
        if kind == EntryType::Directory {
            return Ok(Found::Folder);
        }
        let reason = match kind {
            EntryType::Regular => refused_name(&name),
            EntryType::Symlink | EntryType::Link => Some("a link"),
            EntryType::Char | EntryType::Block | EntryType::Fifo => Some("a device"),
            _ => Some("no regular file"),
        };
        if let Some(reason) = reason {
            let reason = reason.into();
            return Ok(Found::Refused { name, reason });
        }
        self.last.clone_from(&name);
        Ok(Found::File(Member {
            name,
            start,
            len: size,
        }))
    }

    /// After the first block of zeros: another, and nothing but zeros behind.
    fn end(&mut self) -> Result<Result<Option<Found>, String>, DataError> {
        let rest = self.len - self.at;
        if rest < 2 * BLOCK {
            return Ok(Err("it is cut off: half of its end mark is missing".into()));
        }
        let tail = self.bytes(self.at, rest.min(AHEAD))?;
        if tail.iter().any(|&byte| byte != 0) {
            return Ok(Err("there is something behind its end mark".into()));
        }
        Ok(Ok(None))
    }
}

impl Extension {
    fn read(&mut self, kind: EntryType, bytes: Vec<u8>) -> Result<(), String> {
        if kind == EntryType::GNULongLink {
            // The link itself is refused.
            return Ok(());
        }
        if kind == EntryType::GNULongName {
            if self.name.is_some() {
                return Err("two names for one member".into());
            }
            let name = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            self.name = Some(name.to_vec());
            return Ok(());
        }
        let global = kind == EntryType::XGlobalHeader;
        if !global && std::mem::replace(&mut self.pax, true) {
            return Err("two PAX extensions for one member".into());
        }
        // The library ends silently at an empty line.
        let bare = !bytes.is_empty() && !bytes.ends_with(b"\n");
        if bare || bytes.starts_with(b"\n") || bytes.windows(2).any(|pair| pair == b"\n\n") {
            return Err("a malformed PAX extension".into());
        }
        for record in PaxExtensions::new(&bytes) {
            let record = record.map_err(|error| error.to_string())?;
            match record.key_bytes() {
                b"path" | b"size" if global => {
                    return Err("a global PAX extension with a path or a size".into());
                }
                b"path" if self.name.is_some() => return Err("two names for one member".into()),
                b"path" => self.name = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let value = record.value().ok().and_then(|value| value.parse().ok());
                    let size = value.ok_or("a PAX size that is no number")?;
                    if self.size.replace(size).is_some() {
                        return Err("two PAX sizes for one member".into());
                    }
                }
                key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The size of a member, or why the block is no header.
fn size(header: &Header) -> Result<u64, String> {
    let bytes = header.as_bytes();
    // As every tar writes it: the sum of all bytes, the field itself counted as spaces.
    let sum: u32 = bytes.iter().map(|&byte| u32::from(byte)).sum();
    let field: u32 = bytes[148..156].iter().map(|&byte| u32::from(byte)).sum();
    if header.cksum().ok() != Some(sum - field + 8 * 32) {
        return Err("no tar header where one belongs".into());
    }
    let field = &bytes[124..136];
    // The library reads 8 of the 11 bytes of a binary size.
    if field[0] & 0x80 != 0 && (field[0] != 0x80 || field[1..4] != [0; 3]) {
        return Err("a member with a size that is no number".into());
    }
    header.entry_size().map_err(|error| error.to_string())
}

/// Why a name is refused; nothing is ever unpacked, but other tools may unpack the shard.
fn refused_name(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.ends_with('/') {
        Some("a file without a name")
    } else if name.contains('\u{fffd}') || name.contains(char::is_control) {
        Some("its name is no text")
    } else if name.contains('\\') {
        Some("its name has a backslash")
    } else if name.starts_with('/') || name.split('/').next().is_some_and(|p| p.ends_with(':')) {
        Some("its path is absolute")
    } else if name.split('/').any(|part| part == "..") {
        Some("its path leads out of the archive")
    } else {
        None
    }
}
