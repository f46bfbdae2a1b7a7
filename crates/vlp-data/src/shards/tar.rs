//! The members of a tar archive with the offsets of their bytes. The reader is strict because shards may come from anywhere.
//!
//! The `tar` crate parses fields and checksums. Its iterator over members is not used: it ends silently at a truncated
//! archive, and prefers a PAX size to the header's.

use tar::{EntryType, Header, PaxExtensions};

use super::BlobStore;
use crate::DataError;

const BLOCK_BYTES: u64 = 512;
/// Largest size of a PAX or GNU header extension.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;
const GZIP: &str = "it is compressed with gzip; shards must be uncompressed tar files";
/// Bytes read ahead when reading headers.
const READ_AHEAD: u64 = 32 << 10;

/// A regular file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) len: u64,
}

/// The next entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TarEntry {
    File(Member),
    Folder,
    /// A member that is rejected; reading continues after it.
    Rejected {
        name: String,
        reason: String,
    },
    /// The archive is invalid from here on.
    Invalid(String),
}

/// A reader of the members of one shard.
pub(super) struct TarReader<'a> {
    store: &'a dyn BlobStore,
    shard: &'a str,
    len: u64,
    offset: u64,
    ended: bool,
    buffer: Vec<u8>,
    buffer_start: u64,
    /// Name of the last complete member, for messages.
    last_name: String,
}

/// Contents of the header extensions of a member.
#[derive(Default)]
struct Extension {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
    pax: bool,
}

impl<'a> TarReader<'a> {
    pub(super) fn new(store: &'a dyn BlobStore, shard: &'a str, len: u64) -> Self {
        Self {
            store,
            shard,
            len,
            offset: 0,
            ended: false,
            buffer: Vec::new(),
            buffer_start: 0,
            last_name: String::new(),
        }
    }

    /// The next entry; `None` after the end mark of the archive, or after [`TarEntry::Invalid`].
    ///
    /// # Errors
    /// If the shard cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<TarEntry>, DataError> {
        if self.ended {
            return Ok(None);
        }
        match self.entry()? {
            Ok(Some(entry)) => Ok(Some(entry)),
            Ok(None) => {
                self.ended = true;
                Ok(None)
            }
            Err(reason) => {
                self.ended = true;
                let after = match self.last_name.as_str() {
                    "" => "at the start".to_owned(),
                    last => format!("after the last complete member {last}"),
                };
                Ok(Some(TarEntry::Invalid(format!("{reason}, {after}"))))
            }
        }
    }

    /// `len` bytes from offset `start`, which must be inside the shard; small reads are buffered.
    ///
    /// # Errors
    /// If the shard cannot be read.
    pub(super) fn bytes(&mut self, start: u64, len: u64) -> Result<Vec<u8>, DataError> {
        if len > READ_AHEAD {
            return self.store.read(self.shard, start, len as usize);
        }
        let end = self.buffer_start + self.buffer.len() as u64;
        if start < self.buffer_start || start + len > end {
            let ahead = READ_AHEAD.min(self.len.saturating_sub(start)).max(len);
            self.buffer = self.store.read(self.shard, start, ahead as usize)?;
            self.buffer_start = start;
        }
        let from = (start - self.buffer_start) as usize;
        Ok(self.buffer[from..from + len as usize].to_vec())
    }

    fn entry(&mut self) -> Result<Result<Option<TarEntry>, String>, DataError> {
        let mut extension = Extension::default();
        loop {
            if self.len - self.offset < BLOCK_BYTES {
                if self.offset == 0 && self.len >= 2 && self.bytes(0, 2)? == [0x1f, 0x8b] {
                    return Ok(Err(GZIP.into()));
                }
                return Ok(Err("it is truncated: the end mark is missing".into()));
            }
            let block = self.bytes(self.offset, BLOCK_BYTES)?;
            if block.iter().all(|&byte| byte == 0) {
                if extension.name.is_some() || extension.pax {
                    return Ok(Err("a header extension without a member".into()));
                }
                return self.end();
            }
            let header = Header::from_byte_slice(&block);
            let size = match member_size(header) {
                Ok(size) => size,
                Err(reason) => return Ok(Err(reason)),
            };
            let start = self.offset + BLOCK_BYTES;
            let Some(end) = start.checked_add(size).filter(|&end| end <= self.len) else {
                return Ok(Err(format!(
                    "it is truncated at byte {}: a member of {size} bytes starts at {start}",
                    self.len
                )));
            };
            // A member without its padding is complete; the next call reports the missing end mark.
            self.offset = end.next_multiple_of(BLOCK_BYTES).min(self.len);
            let kind = header.entry_type();
            if matches!(
                kind,
                EntryType::XHeader
                    | EntryType::XGlobalHeader
                    | EntryType::GNULongName
                    | EntryType::GNULongLink
            ) {
                if size > MAX_EXTENSION_BYTES {
                    return Ok(Err(format!(
                        "a header extension of {size} bytes, more than {MAX_EXTENSION_BYTES}"
                    )));
                }
                let bytes = self.bytes(start, size)?;
                if let Err(reason) = extension.read(kind, bytes) {
                    return Ok(Err(reason));
                }
                continue;
            }
            return Ok(self.member(header, &extension, start, size).map(Some));
        }
    }

    fn member(
        &mut self,
        header: &Header,
        extension: &Extension,
        start: u64,
        size: u64,
    ) -> Result<TarEntry, String> {
        // Readers that disagree on the size see different members; such an archive may be an attack.
        if let Some(other) = extension.size.filter(|&other| other != size) {
            return Err(format!(
                "a member of {size} bytes by its header and {other} by its PAX extension"
            ));
        }
        let kind = header.entry_type();
        if extension.sparse || kind == EntryType::GNUSparse {
            return Err("a sparse file".into());
        }
        // Some readers skip the announced bytes of these and some do not.
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
            return Ok(TarEntry::Folder);
        }
        let reason = match kind {
            EntryType::Regular => invalid_name(&name),
            EntryType::Symlink | EntryType::Link => Some("a link"),
            EntryType::Char | EntryType::Block | EntryType::Fifo => Some("a device"),
            _ => Some("not a regular file"),
        };
        if let Some(reason) = reason {
            let reason = reason.into();
            return Ok(TarEntry::Rejected { name, reason });
        }
        self.last_name.clone_from(&name);
        Ok(TarEntry::File(Member {
            name,
            start,
            len: size,
        }))
    }

    /// Checks that the first block of zeros is followed by another, and only by zeros.
    fn end(&mut self) -> Result<Result<Option<TarEntry>, String>, DataError> {
        let rest = self.len - self.offset;
        if rest < 2 * BLOCK_BYTES {
            return Ok(Err(
                "it is truncated: half of the end mark is missing".into()
            ));
        }
        while self.offset < self.len {
            let len = READ_AHEAD.min(self.len - self.offset);
            if self.bytes(self.offset, len)?.iter().any(|&byte| byte != 0) {
                return Ok(Err("data after the end mark".into()));
            }
            self.offset += len;
        }
        Ok(Ok(None))
    }
}

impl Extension {
    fn read(&mut self, kind: EntryType, bytes: Vec<u8>) -> Result<(), String> {
        if kind == EntryType::GNULongLink {
            // Links are rejected anyway.
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
        // The `tar` crate ends silently at an empty line.
        let unterminated = !bytes.is_empty() && !bytes.ends_with(b"\n");
        if unterminated || bytes.starts_with(b"\n") || bytes.windows(2).any(|pair| pair == b"\n\n")
        {
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
                    let size = value.ok_or("a PAX size that is not a number")?;
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

/// The size of a member, or why the block is not a header.
fn member_size(header: &Header) -> Result<u64, String> {
    let bytes = header.as_bytes();
    // The sum of all bytes, with the checksum field itself counted as spaces.
    let sum: u32 = bytes.iter().map(|&byte| u32::from(byte)).sum();
    let field: u32 = bytes[148..156].iter().map(|&byte| u32::from(byte)).sum();
    if header.cksum().ok() != Some(sum - field + 8 * 32) {
        // Checked only here because a member's name may start with these bytes.
        return Err(match bytes.as_slice() {
            [0x1f, 0x8b, ..] => GZIP,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                "it is compressed with zstd; shards must be uncompressed tar files"
            }
            _ => "expected a tar header",
        }
        .into());
    }
    let field = &bytes[124..136];
    // The `tar` crate reads only 8 of the 11 bytes of a binary size.
    if field[0] & 0x80 != 0 && (field[0] != 0x80 || field[1..4] != [0; 3]) {
        return Err("a member with a size that is not a number".into());
    }
    header.entry_size().map_err(|error| error.to_string())
}

/// Why a name is rejected. Names are not used as paths here, but other tools may unpack the shard.
fn invalid_name(name: &str) -> Option<&'static str> {
    if name.is_empty() || name.ends_with('/') {
        Some("a file without a name")
    } else if name.contains('\u{fffd}') || name.contains(char::is_control) {
        Some("the name is not text")
    } else if name.contains('\\') {
        Some("the name contains a backslash")
    } else if name.starts_with('/')
        || name
            .split('/')
            .next()
            .is_some_and(|part| part.ends_with(':'))
    {
        Some("the path is absolute")
    } else if name.split('/').any(|part| part == "..") {
        Some("the path leads out of the archive")
    } else {
        None
    }
}
