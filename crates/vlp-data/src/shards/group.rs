//! A shard's members put together to samples.

use std::collections::HashSet;

use super::{
    Blobs,
    tar::{Found, Member, Walk},
};
use crate::{
    DataError,
    read::{
        fnv,
        pictures::{Span, header_size},
        records::MAX_RECORD,
    },
};

/// Longest picture that is read.
const MAX_PICTURE: u64 = 1 << 30;
/// Longest `.txt`; a longer caption is none anyway.
const MAX_TEXT: u64 = 1 << 20;

/// The members of one key.
#[derive(Default)]
pub(super) struct Group {
    pub(super) key: String,
    pub(super) picture: Option<Piece>,
    pub(super) second: Option<Piece>,
    pub(super) json: Option<Vec<u8>>,
    pub(super) text: Option<String>,
}

/// A picture's place.
pub(super) struct Piece {
    pub(super) name: String,
    pub(super) span: Span,
    /// Its size by its first bytes, or why they say none.
    pub(super) size: Result<(u32, u32), String>,
}

/// What was found in a shard.
#[derive(Default)]
pub(super) struct Shard {
    pub(super) groups: Vec<Group>,
    /// Members, or the place in the shard, with what is wrong.
    pub(super) faults: Vec<(String, String)>,
    /// Members that are passed over.
    pub(super) others: usize,
}

/// Walks over a shard.
///
/// # Errors
/// When it cannot be read; what is wrong in it is a fault.
pub(super) fn read(
    blobs: &dyn Blobs,
    name: &str,
    number: u32,
    len: u64,
) -> Result<Shard, DataError> {
    let mut walk = Walk::new(blobs, name, len);
    let mut shard = Shard::default();
    let (mut group, mut closed) = (Group::default(), HashSet::new());
    while let Some(found) = walk.next()? {
        let member = match found {
            Found::File(member) => member,
            Found::Folder => {
                shard.others += 1;
                continue;
            }
            Found::Refused { name, reason } => {
                shard.faults.push((format!("member {name}"), reason));
                continue;
            }
            Found::Broken(reason) => {
                shard.faults.push(("archive".into(), reason));
                break;
            }
        };
        let (key, kind) = split(&member.name);
        if key != group.key {
            let full = std::mem::replace(
                &mut group,
                Group {
                    key: key.into(),
                    ..Group::default()
                },
            );
            closed.insert(fnv(full.key.bytes()));
            shard.close(full);
        }
        if closed.contains(&fnv(key.bytes())) {
            let reason = format!(
                "members of {key} stand elsewhere in the shard; those of one sample must stand side by side"
            );
            let record = format!("member {}", member.name);
            shard.faults.push((record, reason));
            continue;
        }
        if let Err(reason) = group.take(&mut walk, &member, kind, number, &mut shard.others)? {
            let record = format!("member {}", member.name);
            shard.faults.push((record, reason));
        }
    }
    shard.close(group);
    Ok(shard)
}

/// A member's key and the kind behind the first dot of its file name.
fn split(name: &str) -> (&str, &str) {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[file..].find('.') {
        Some(dot) => (&name[..file + dot], &name[file + dot + 1..]),
        None => (name, ""),
    }
}

impl Shard {
    /// Takes a sample whose members have all been seen.
    fn close(&mut self, group: Group) {
        // Of other members alone nothing is left: they have been counted, or are faults.
        if group.picture.is_some()
            || group.second.is_some()
            || group.json.is_some()
            || group.text.is_some()
        {
            self.groups.push(group);
        }
    }
}

impl Group {
    fn take(
        &mut self,
        walk: &mut Walk<'_>,
        member: &Member,
        kind: &str,
        shard: u32,
        others: &mut usize,
    ) -> Result<Result<(), String>, DataError> {
        let kind = kind.to_ascii_lowercase();
        let taken = match kind.as_str() {
            "json" => self.json.is_some(),
            "txt" => self.text.is_some(),
            "jpg" | "jpeg" | "png" | "webp" => self.picture.is_some(),
            "right.jpg" | "right.jpeg" | "right.png" | "right.webp" => self.second.is_some(),
            _ => {
                *others += 1;
                return Ok(Ok(()));
            }
        };
        if taken {
            return Ok(Err(format!(
                "the sample {} has a member of this kind already",
                self.key
            )));
        }
        let most = match kind.as_str() {
            "json" => MAX_RECORD as u64,
            "txt" => MAX_TEXT,
            _ => MAX_PICTURE,
        };
        if member.len > most {
            let reason = format!("{} bytes, more than {most}", member.len);
            return Ok(Err(reason));
        }
        match kind.as_str() {
            "json" => self.json = Some(walk.bytes(member.start, member.len)?),
            "txt" => match String::from_utf8(walk.bytes(member.start, member.len)?) {
                Ok(text) => self.text = Some(text),
                Err(_) => return Ok(Err("it is not UTF-8".into())),
            },
            _ => {
                let piece = piece(walk, member, shard)?;
                if kind.starts_with("right.") {
                    self.second = Some(piece);
                } else {
                    self.picture = Some(piece);
                }
            }
        }
        Ok(Ok(()))
    }
}

fn piece(walk: &mut Walk<'_>, member: &Member, shard: u32) -> Result<Piece, DataError> {
    let found = header_size(&member.name, |most| {
        walk.bytes(member.start, member.len.min(most))
    });
    let size = match found {
        Ok((width, height)) => Ok((width as u32, height as u32)),
        Err(DataError::Decode { reason, .. } | DataError::Limit { reason, .. }) => Err(reason),
        Err(error) => return Err(error),
    };
    Ok(Piece {
        name: member.name.clone(),
        span: Span {
            shard,
            start: member.start,
            // It was found to be below MAX_PICTURE.
            len: member.len as u32,
        },
        size,
    })
}
