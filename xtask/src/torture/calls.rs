//! The calls that changed files, as the shim writes them down.

use std::fs;
use std::path::{Path, PathBuf};

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A new file.
    Create,
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        length: usize,
    },
    /// Of a file or a folder.
    Sync,
    Rename {
        to: PathBuf,
    },
    /// Of a file or a folder.
    Remove,
    MakeFolder,
    /// Nothing: it failed by itself, as `mkdir` of a folder that exists does.
    Nothing,
}

/// A call, as it went in a process that nothing happened to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) path: PathBuf,
    pub(super) change: Change,
}

impl Call {
    /// What a message about this call must name. `root` is the folder that `out` is in.
    pub(super) fn name_in_messages(&self, root: &Path) -> String {
        let is_removed = |path: &Path| path.iter().any(|name| name == "removed");
        match &self.change {
            // It is synced for the sake of what was renamed in it.
            Change::Sync if self.path == root => "out".to_owned(),
            // Of a checkpoint, which is renamed before it is removed.
            Change::Rename { to } if is_removed(to) => "step-".to_owned(),
            Change::Remove if is_removed(&self.path) || self.final_name() == "checkpoints" => {
                "step-".to_owned()
            }
            _ => self.final_name(),
        }
    }

    /// The name of the file that is written in the end.
    pub(super) fn final_name(&self) -> String {
        let path = match &self.change {
            Change::Rename { to } => to,
            _ => &self.path,
        };
        final_name(path)
    }

    /// What a user would say the process did.
    pub(super) fn describe(&self) -> String {
        let name = self.final_name();
        match self.change {
            Change::Create => format!("create {name}"),
            Change::Write { .. } => format!("write {name}"),
            Change::Truncate { .. } => format!("truncate {name}"),
            Change::Sync => format!("sync {name}"),
            Change::Rename { .. } => format!("rename to {name}"),
            Change::Remove => format!("remove {name}"),
            Change::MakeFolder => format!("make {name}"),
            Change::Nothing => format!("nothing to {name}"),
        }
    }
}

/// The name of a path without what makes a temporary name of it: `.NAME.PROCESS-NUMBER.partial`.
pub(super) fn final_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match temporary_stem(&name) {
        Some(stem) => stem.to_owned(),
        // The time of its start follows.
        None if name.starts_with(EVENTS) => EVENTS.to_owned(),
        None => name.into_owned(),
    }
}

const EVENTS: &str = "events.out.tfevents";

/// Whether a name is one of those that are renamed or removed before a command ends.
pub(super) fn is_temporary(name: &str) -> bool {
    temporary_stem(name).is_some()
}

fn temporary_stem(name: &str) -> Option<&str> {
    if name.starts_with(".writing-") {
        return Some("checkpoints");
    }
    let (stem, _number) = name
        .strip_prefix('.')?
        .strip_suffix(".partial")?
        .rsplit_once('.')?;
    Some(stem)
}

/// The step of the last checkpoint that must be durable after these calls; 0 if none must.
pub(super) fn durable_step(calls: &[Call]) -> usize {
    let saved = |call: &Call| match &call.change {
        Change::Rename { to } => {
            let name = to.file_name()?.to_str()?;
            name.strip_prefix("step-")?.parse().ok()
        }
        _ => None,
    };
    let (mut renamed, mut durable) = (0, 0);
    for call in calls {
        renamed = saved(call).unwrap_or(renamed);
        let is_synced = call.change == Change::Sync && call.path.ends_with("checkpoints");
        // The next save begins with a folder, and so does the removal of an old checkpoint: by then this one must be durable,
        // even if the folder of checkpoints was never synced.
        let is_over = call.change == Change::MakeFolder && final_name(&call.path) == "checkpoints";
        if is_synced || is_over {
            durable = renamed;
        }
    }
    durable
}

/// Reads a log of the shim.
pub(super) fn read(log: &Path) -> Result<Vec<Call>, String> {
    let failed = |why: &str| format!("{}: {why}", log.display());
    let bytes = fs::read(log).map_err(|e| failed(&e.to_string()))?;
    let mut rest = bytes.as_slice();
    let mut calls = vec![];
    while !rest.is_empty() {
        calls.push(next(&mut rest).ok_or_else(|| failed("cut off"))?);
    }
    Ok(calls)
}

fn next(rest: &mut &[u8]) -> Option<Call> {
    let mut number = || {
        let (head, tail) = rest.split_first_chunk::<8>()?;
        *rest = tail;
        usize::try_from(u64::from_ne_bytes(*head)).ok()
    };
    let [kind, path, other, offset, length] =
        [number()?, number()?, number()?, number()?, number()?];
    let mut take = |length| {
        let (head, tail) = rest.split_at_checked(length)?;
        *rest = tail;
        Some(head)
    };
    let path = take(path)?;
    let (other, bytes) = (take(other)?, take(length)?.to_vec());
    let text = |bytes: &[u8]| Some(PathBuf::from(std::str::from_utf8(bytes).ok()?));
    let change = match u8::try_from(kind).ok()? {
        b'c' => Change::Create,
        b'w' => Change::Write { offset, bytes },
        b't' => Change::Truncate { length: offset },
        b's' => Change::Sync,
        b'r' => Change::Rename { to: text(other)? },
        b'u' => Change::Remove,
        b'm' => Change::MakeFolder,
        b'f' => Change::Nothing,
        _ => return None,
    };
    Some(Call {
        path: text(path)?,
        change,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn record(kind: u8, path: &str, other: &str, offset: u64, bytes: &[u8]) -> Vec<u8> {
        let lengths = [path.len(), other.len()].map(|length| length as u64);
        let head = [
            u64::from(kind),
            lengths[0],
            lengths[1],
            offset,
            bytes.len() as u64,
        ];
        let head = head.iter().flat_map(|number| number.to_ne_bytes());
        let parts = [path.as_bytes(), other.as_bytes(), bytes].concat();
        head.chain(parts).collect()
    }

    #[test]
    fn a_log_is_read_and_a_cut_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let records = [
            record(b'w', "/a", "", 3, b"bytes"),
            record(b'r', "/a", "/b", 0, b""),
        ];
        fs::write(&log, records.concat()).unwrap();
        let calls = read(&log).unwrap();
        let bytes = b"bytes".to_vec();
        assert_eq!(calls[0].change, Change::Write { offset: 3, bytes });
        assert_eq!(calls[1].describe(), "rename to b");
        fs::write(&log, &records.concat()[..60]).unwrap();
        assert!(read(&log).unwrap_err().ends_with("cut off"));
    }

    #[test]
    fn a_checkpoint_must_be_durable_once_it_is_synced_or_another_begins() {
        let call = |path: &str, change| Call {
            path: path.into(),
            change,
        };
        let begin = || call("/run/checkpoints/.writing-1-0", Change::MakeFolder);
        let rename = |step: usize| {
            let to = format!("/run/checkpoints/step-{step:08}").into();
            call("/run/checkpoints/.writing-1-0", Change::Rename { to })
        };
        let sync = || call("/run/checkpoints", Change::Sync);
        let calls = [begin(), rename(1), sync(), begin(), rename(2)];
        let steps: Vec<usize> = (0..=5).map(|end| durable_step(&calls[..end])).collect();
        assert_eq!(steps, [0, 0, 0, 1, 1, 1]);
        // Nothing is synced.
        assert_eq!(durable_step(&[begin(), rename(1), begin()]), 1);
    }

    #[test]
    fn temporary_names_are_those_of_what_they_become() {
        for (name, last) in [
            (".model.safetensors.17-0.partial", "model.safetensors"),
            (".shards.17-0.partial", "shards"),
            (".writing-17-0", "checkpoints"),
        ] {
            assert_eq!(final_name(Path::new(name)), last);
            assert!(is_temporary(name), "{name}");
        }
        for name in ["model.bpk", ".lock", "report.html"] {
            assert_eq!(final_name(Path::new(name)), name);
            assert!(!is_temporary(name), "{name}");
        }
    }
}
