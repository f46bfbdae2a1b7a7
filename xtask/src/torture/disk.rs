//! A file system as it may be after a power loss: what was synced stays, all else may be there or not.
//!
//! Syncing a file keeps its bytes, not its name; syncing a folder keeps the names in it, not that of the folder itself.
//! So it is in POSIX, and stricter than on the file systems of Linux, which keep more.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::calls::{Call, Change};
use crate::processes::random::Random;

/// Number of a file or folder.
type Id = usize;

/// Bytes of files and names of empty folders, by their path.
pub(super) type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

#[derive(Clone)]
enum Node {
    File {
        durable: Vec<u8>,
        /// Since the last sync.
        pending: Vec<Change>,
    },
    Folder(BTreeMap<OsString, Id>),
}

/// A change of names that is not synced: in each folder a name, and what it stands for afterwards.
#[derive(Clone)]
struct Renaming(Vec<(Id, OsString, Option<Id>)>);

/// The file system below a folder.
#[derive(Clone)]
pub(super) struct Disk {
    root: PathBuf,
    /// As a process sees it, the bytes of files excepted. The first is the root.
    nodes: Vec<Node>,
    /// The folders as they are on the disk, by number.
    durable: BTreeMap<Id, BTreeMap<OsString, Id>>,
    pending: Vec<Renaming>,
}

/// What a power loss takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// All that was not synced.
    All,
    /// Nothing.
    Nothing,
    /// Bytes, not names.
    Bytes,
    /// Names, not bytes.
    Names,
    /// What this seed says. Bytes may also be zeros.
    Random(u64),
}

impl Disk {
    /// The file system that now is below `root`, synced.
    pub(super) fn of(root: &Path) -> Result<Self, String> {
        let mut disk = Self {
            root: root.into(),
            nodes: vec![],
            durable: BTreeMap::new(),
            pending: vec![],
        };
        disk.read(root)
            .map_err(|e| format!("{}: {e}", root.display()))?;
        Ok(disk)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn read(&mut self, path: &Path) -> std::io::Result<Id> {
        let id = self.nodes.len();
        if !path.is_dir() {
            self.nodes.push(Node::File {
                durable: fs::read(path)?,
                pending: vec![],
            });
            return Ok(id);
        }
        self.nodes.push(Node::Folder(BTreeMap::new()));
        let mut names = BTreeMap::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            names.insert(entry.file_name(), self.read(&entry.path())?);
        }
        self.durable.insert(id, names.clone());
        self.nodes[id] = Node::Folder(names);
        Ok(id)
    }

    /// The file or folder that a process sees at `path`.
    fn find(&self, path: &Path) -> Result<Id, String> {
        let missing = || format!("{}: not in the log", path.display());
        let inside = path.strip_prefix(&self.root).map_err(|_| missing())?;
        inside.iter().try_fold(0, |id, name| match &self.nodes[id] {
            Node::Folder(names) => names.get(name).copied().ok_or_else(missing),
            Node::File { .. } => Err(missing()),
        })
    }

    fn parent(&self, path: &Path) -> Result<(Id, OsString), String> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(format!("{}: no name", path.display()));
        };
        Ok((self.find(parent)?, name.to_owned()))
    }

    /// Makes the change of a call.
    pub(super) fn apply(&mut self, call: &Call) -> Result<(), String> {
        let path = &call.path;
        match &call.change {
            Change::Create => {
                let file = Node::File {
                    durable: vec![],
                    pending: vec![],
                };
                self.add(path, file)
            }
            Change::Nothing => Ok(()),
            Change::MakeFolder => self.add(path, Node::Folder(BTreeMap::new())),
            Change::Remove => {
                let (folder, name) = self.parent(path)?;
                self.rename(vec![(folder, name, None)]);
                Ok(())
            }
            Change::Rename { to } => {
                let id = self.find(path)?;
                let ((from, name), (into, new_name)) = (self.parent(path)?, self.parent(to)?);
                self.rename(vec![(from, name, None), (into, new_name, Some(id))]);
                Ok(())
            }
            Change::Write { .. } | Change::Truncate { .. } => {
                let id = self.find(path)?;
                if let Node::File { pending, .. } = &mut self.nodes[id] {
                    pending.push(call.change.clone());
                }
                Ok(())
            }
            Change::Sync => {
                let id = self.find(path)?;
                self.sync(id);
                Ok(())
            }
        }
    }

    fn add(&mut self, path: &Path, node: Node) -> Result<(), String> {
        let (folder, name) = self.parent(path)?;
        let id = self.nodes.len();
        if let Node::Folder(_) = node {
            self.durable.insert(id, BTreeMap::new());
        }
        self.nodes.push(node);
        self.rename(vec![(folder, name, Some(id))]);
        Ok(())
    }

    fn rename(&mut self, changes: Vec<(Id, OsString, Option<Id>)>) {
        for (folder, name, id) in &changes {
            if let Node::Folder(names) = &mut self.nodes[*folder] {
                set(names, name, *id);
            }
        }
        self.pending.push(Renaming(changes));
    }

    fn sync(&mut self, id: Id) {
        if let Node::File { durable, pending } = &mut self.nodes[id] {
            pending.drain(..).for_each(|change| write(durable, &change));
            return;
        }
        let durable = &mut self.durable;
        self.pending.retain(|Renaming(changes)| {
            let is_synced = changes.iter().any(|(folder, ..)| *folder == id);
            if is_synced {
                for (folder, name, id) in changes {
                    set(durable.entry(*folder).or_default(), name, *id);
                }
            }
            !is_synced
        });
    }

    /// What is there after a power loss.
    pub(super) fn after(&self, loss: Loss) -> Tree {
        let mut random = Random(match loss {
            Loss::Random(seed) => seed,
            _ => 0,
        });
        let mut folders = self.durable.clone();
        for Renaming(changes) in &self.pending {
            let stays = match loss {
                Loss::All | Loss::Names => false,
                Loss::Nothing | Loss::Bytes => true,
                Loss::Random(_) => random.below(2) == 0,
            };
            if stays {
                for (folder, name, id) in changes {
                    set(folders.entry(*folder).or_default(), name, *id);
                }
            }
        }
        let mut tree = Tree::new();
        self.collect(0, Path::new(""), &folders, loss, &mut random, &mut tree);
        tree
    }

    fn collect(
        &self,
        id: Id,
        path: &Path,
        folders: &BTreeMap<Id, BTreeMap<OsString, Id>>,
        loss: Loss,
        random: &mut Random,
        tree: &mut Tree,
    ) {
        if let Node::File { durable, pending } = &self.nodes[id] {
            let bytes = bytes_after(durable, pending, loss, random);
            tree.insert(path.into(), Some(bytes));
            return;
        }
        let names = folders.get(&id);
        if names.is_none_or(BTreeMap::is_empty) {
            tree.insert(path.into(), None);
        }
        for (name, id) in names.into_iter().flatten() {
            self.collect(*id, &path.join(name), folders, loss, random, tree);
        }
    }
}

fn set(names: &mut BTreeMap<OsString, Id>, name: &OsString, id: Option<Id>) {
    match id {
        Some(id) => names.insert(name.clone(), id),
        None => names.remove(name),
    };
}

fn bytes_after(durable: &[u8], pending: &[Change], loss: Loss, random: &mut Random) -> Vec<u8> {
    let mut bytes = durable.to_vec();
    for change in pending {
        match loss {
            Loss::All | Loss::Bytes => {}
            Loss::Nothing | Loss::Names => write(&mut bytes, change),
            Loss::Random(_) => match (random.below(4), change) {
                (0, _) => {}
                // The length has arrived, the bytes have not.
                (
                    1,
                    Change::Write {
                        offset,
                        bytes: part,
                    },
                ) => {
                    let end = bytes.len().max(offset + part.len());
                    bytes.resize(end, 0);
                }
                // One half has arrived.
                (
                    2,
                    Change::Write {
                        offset,
                        bytes: part,
                    },
                ) => {
                    let bytes_of_half = part[..part.len() / 2].to_vec();
                    let half = Change::Write {
                        offset: *offset,
                        bytes: bytes_of_half,
                    };
                    write(&mut bytes, &half);
                }
                _ => write(&mut bytes, change),
            },
        }
    }
    bytes
}

fn write(file: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes } => {
            let end = offset + bytes.len();
            file.resize(file.len().max(end), 0);
            file[*offset..end].copy_from_slice(bytes);
        }
        Change::Truncate { length } => file.resize(*length, 0),
        _ => {}
    }
}

/// Writes a tree into an empty folder.
pub(super) fn write_tree(tree: &Tree, folder: &Path) -> Result<(), String> {
    for (path, bytes) in tree {
        let path = folder.join(path);
        let failed = |e| format!("{}: {e}", path.display());
        match bytes {
            None => fs::create_dir_all(&path).map_err(failed)?,
            Some(bytes) => {
                fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(failed)?;
                fs::write(&path, bytes).map_err(failed)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn call(path: &str, change: Change) -> Call {
        Call {
            path: Path::new("/r").join(path),
            change,
        }
    }

    /// A disk with an empty root.
    fn disk(calls: &[Call]) -> Disk {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = Disk::of(folder.path()).unwrap();
        disk.root = "/r".into();
        calls.iter().for_each(|call| disk.apply(call).unwrap());
        disk
    }

    fn bytes(text: &str) -> Change {
        Change::Write {
            offset: 0,
            bytes: text.into(),
        }
    }

    fn tree(entries: &[(&str, Option<&str>)]) -> Tree {
        let entries = entries.iter();
        let entries = entries.map(|(path, text)| (PathBuf::from(path), text.map(|t| t.into())));
        entries.collect()
    }

    #[test]
    fn what_was_synced_stays() {
        let to = PathBuf::from("/r/b");
        let mut calls = vec![call("a", Change::Create), call("a", bytes("x"))];
        assert_eq!(disk(&calls).after(Loss::All), tree(&[("", None)]));
        calls.push(call("", Change::Sync));
        assert_eq!(disk(&calls).after(Loss::All), tree(&[("a", Some(""))]));
        calls.push(call("a", Change::Rename { to }));
        assert_eq!(disk(&calls).after(Loss::Bytes), tree(&[("b", Some(""))]));
        assert_eq!(disk(&calls).after(Loss::Names), tree(&[("a", Some("x"))]));
        assert_eq!(disk(&calls).after(Loss::Nothing), tree(&[("b", Some("x"))]));
        calls.push(call("b", Change::Sync));
        assert_eq!(disk(&calls).after(Loss::All), tree(&[("a", Some("x"))]));
        calls.push(call("", Change::Sync));
        assert_eq!(disk(&calls).after(Loss::All), tree(&[("b", Some("x"))]));
    }

    #[test]
    fn a_folder_whose_name_was_not_synced_is_gone_with_what_is_in_it() {
        let calls = [
            call("d", Change::MakeFolder),
            call("d/a", Change::Create),
            call("d", Change::Sync),
        ];
        assert_eq!(disk(&calls).after(Loss::All), tree(&[("", None)]));
        assert_eq!(
            disk(&calls).after(Loss::Nothing),
            tree(&[("d/a", Some(""))])
        );
    }
}
