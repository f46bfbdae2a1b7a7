//! The members of a shard, grouped into samples.

use std::collections::HashSet;

use super::{
    BlobStore,
    tar::{Member, TarEntry, TarReader},
};
use crate::{
    DataError, IMAGE_EXTENSIONS,
    hash::fnv1a,
    read::{
        images::{MAX_IMAGE_BYTES, Span, header_size},
        is_system_file,
        records::MAX_RECORD,
    },
};

/// Largest `.txt` member that is read.
const MAX_TEXT_BYTES: u64 = 1 << 20;

/// The members with the same key.
#[derive(Default)]
pub(super) struct SampleMembers {
    pub(super) key: String,
    pub(super) image: Option<ImageMember>,
    pub(super) second_image: Option<ImageMember>,
    pub(super) json: Option<Vec<u8>>,
    pub(super) text: Option<String>,
}

/// The location of an image.
pub(super) struct ImageMember {
    pub(super) name: String,
    pub(super) span: Span,
    /// Width and height according to the image header, or why they are unknown.
    pub(super) size: Result<(u32, u32), String>,
}

/// The contents of a shard.
#[derive(Default)]
pub(super) struct ShardContents {
    pub(super) samples: Vec<SampleMembers>,
    /// Skipped members with the reason.
    pub(super) skipped: Vec<(String, String)>,
    /// Number of members of other kinds.
    pub(super) other_members: usize,
}

/// Reads the headers and records of a shard; `shard` is its index in the set.
///
/// # Errors
/// If the shard cannot be read; invalid contents are skipped and listed.
pub(super) fn read(
    store: &dyn BlobStore,
    name: &str,
    shard: u32,
    len: u64,
) -> Result<ShardContents, DataError> {
    let mut reader = TarReader::new(store, name, len);
    let mut contents = ShardContents::default();
    let (mut sample, mut finished_keys) = (SampleMembers::default(), HashSet::new());
    while let Some(entry) = reader.next()? {
        let member = match entry {
            TarEntry::File(member) => member,
            TarEntry::Folder => {
                contents.other_members += 1;
                continue;
            }
            TarEntry::Rejected { name, reason } => {
                contents.skipped.push((format!("member {name}"), reason));
                continue;
            }
            TarEntry::Invalid(reason) => {
                contents.skipped.push(("archive".into(), reason));
                break;
            }
        };
        // Before it is grouped: AppleDouble members may occur between the members of a sample.
        if is_system_file(&member.name) {
            contents.other_members += 1;
            continue;
        }
        let (key, kind) = split_name(&member.name);
        if key != sample.key {
            let next = SampleMembers {
                key: key.into(),
                ..SampleMembers::default()
            };
            let finished = std::mem::replace(&mut sample, next);
            finished_keys.insert(fnv1a(finished.key.bytes()));
            contents.add(finished);
        }
        let added = if finished_keys.contains(&fnv1a(key.bytes())) {
            Err(format!(
                "other members of {key} occur earlier in the shard; the members of a sample must be consecutive"
            ))
        } else {
            sample.add(&mut reader, &member, kind, shard, &mut contents)?
        };
        if let Err(reason) = added {
            let record = format!("member {}", member.name);
            contents.skipped.push((record, reason));
        }
    }
    contents.add(sample);
    Ok(contents)
}

/// Splits a member's name at the first dot of its file name into key and kind.
fn split_name(name: &str) -> (&str, &str) {
    let file_start = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[file_start..].find('.') {
        Some(dot) => (&name[..file_start + dot], &name[file_start + dot + 1..]),
        None => (name, ""),
    }
}

impl ShardContents {
    fn add(&mut self, sample: SampleMembers) {
        // Empty if all its members are of other kinds or skipped.
        if sample.image.is_some()
            || sample.second_image.is_some()
            || sample.json.is_some()
            || sample.text.is_some()
        {
            self.samples.push(sample);
        }
    }
}

impl SampleMembers {
    /// Adds a member; the inner error is the reason to skip it.
    fn add(
        &mut self,
        reader: &mut TarReader<'_>,
        member: &Member,
        kind: &str,
        shard: u32,
        contents: &mut ShardContents,
    ) -> Result<Result<(), String>, DataError> {
        let kind = kind.to_ascii_lowercase();
        let (present, max_bytes) = match kind.as_str() {
            "json" => (self.json.is_some(), MAX_RECORD as u64),
            "txt" => (self.text.is_some(), MAX_TEXT_BYTES),
            extension if IMAGE_EXTENSIONS.contains(&extension) => {
                (self.image.is_some(), MAX_IMAGE_BYTES)
            }
            kind if (kind.strip_prefix("right."))
                .is_some_and(|extension| IMAGE_EXTENSIONS.contains(&extension)) =>
            {
                (self.second_image.is_some(), MAX_IMAGE_BYTES)
            }
            _ => {
                contents.other_members += 1;
                return Ok(Ok(()));
            }
        };
        if present {
            let reason = format!("the sample {} already has a member of this kind", self.key);
            return Ok(Err(reason));
        }
        if member.len > max_bytes {
            let reason = format!("{} bytes, more than {max_bytes}", member.len);
            return Ok(Err(reason));
        }
        match kind.as_str() {
            "json" => {
                let bytes = reader.bytes(member.start, member.len)?;
                let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
                self.json = Some(text.to_vec());
            }
            "txt" => match String::from_utf8(reader.bytes(member.start, member.len)?) {
                Ok(text) => self.text = Some(text.trim_start_matches('\u{feff}').to_owned()),
                Err(_) => return Ok(Err("it is not UTF-8".into())),
            },
            _ => {
                let image = image_member(reader, member, shard)?;
                if kind.starts_with("right.") {
                    self.second_image = Some(image);
                } else {
                    self.image = Some(image);
                }
            }
        }
        Ok(Ok(()))
    }
}

fn image_member(
    reader: &mut TarReader<'_>,
    member: &Member,
    shard: u32,
) -> Result<ImageMember, DataError> {
    let size = header_size(&member.name, |max_bytes| {
        reader.bytes(member.start, member.len.min(max_bytes))
    });
    let size = match size {
        Ok((width, height)) => Ok((width as u32, height as u32)),
        Err(DataError::Decode { reason, .. } | DataError::Limit { reason, .. }) => Err(reason),
        Err(error) => return Err(error),
    };
    Ok(ImageMember {
        name: member.name.clone(),
        span: Span {
            shard,
            start: member.start,
            // At most MAX_IMAGE_BYTES.
            len: member.len as u32,
        },
        size,
    })
}
