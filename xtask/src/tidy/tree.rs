//! The files of the repository and the crates among them.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use toml::{Table, Value};

/// The crate that unifies features, which holds no code and is never published.
pub(crate) const FEATURES: &str = "workspace-hack";

/// The files of a repository and its workspace crates.
pub(super) struct Tree {
    /// Texts by their path from the root, with `/`; `None` for what is not UTF-8.
    pub(super) files: BTreeMap<String, Option<String>>,
    /// Crates in `crates/` and `xtask/`, without [`FEATURES`].
    pub(super) crates: Vec<Crate>,
}

/// A crate of the workspace.
pub(super) struct Crate {
    pub(super) name: String,
    /// Folder from the root, such as `crates/vlp-text`.
    pub(super) folder: String,
    pub(super) manifest: Table,
    source: String,
}

impl Tree {
    /// Reads everything below `root` but build output and version control.
    pub(super) fn read(root: &Path) -> io::Result<Self> {
        let mut files = BTreeMap::new();
        collect(root, "", &mut files)?;
        let mut crates = Vec::new();
        for (path, text) in &files {
            let Some(folder) = path.strip_suffix("/Cargo.toml") else {
                continue;
            };
            let depth = folder.split('/').count();
            let in_crates = folder.starts_with("crates/") && depth == 2;
            let member = (in_crates || folder == "xtask") && !folder.ends_with(FEATURES);
            let Some(source) = text.as_ref().filter(|_| member) else {
                continue;
            };
            let manifest: Table = source
                .parse()
                .map_err(|error| io::Error::other(format!("{path}: {error}")))?;
            let name = manifest
                .get("package")
                .and_then(|package| package.get("name"))
                .and_then(Value::as_str);
            let name = name.unwrap_or(folder).to_owned();
            crates.push(Crate {
                name,
                folder: folder.to_owned(),
                manifest,
                source: source.clone(),
            });
        }
        Ok(Self { files, crates })
    }

    /// The text of a file, if there is one.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.as_deref()
    }

    /// Texts with their paths whose name ends in `suffix`.
    pub(super) fn texts<'a>(&'a self, suffix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let texts = self
            .files
            .iter()
            .filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)));
        texts.filter(move |(path, _)| path.ends_with(suffix))
    }
}

fn collect(
    root: &Path,
    folder: &str,
    files: &mut BTreeMap<String, Option<String>>,
) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        let kind = entry.file_type()?;
        let is_skipped = matches!(name.as_str(), "target" | ".git" | "node_modules");
        if kind.is_dir() && !is_skipped && path != "runs" {
            collect(root, &path, files)?;
        } else if kind.is_file() {
            let text = String::from_utf8(fs::read(entry.path())?).ok();
            files.insert(path, text);
        }
    }
    Ok(())
}

/// A dependency as a manifest names it.
pub(super) struct Dependency<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a Value,
    /// Named under `[dev-dependencies]`.
    pub(super) dev: bool,
}

impl Dependency<'_> {
    /// Features that the manifest asks of the dependency.
    pub(super) fn features(&self) -> Vec<&str> {
        let features = self.value.get("features").and_then(Value::as_array);
        features
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }
}

impl Crate {
    /// Path of the manifest from the root.
    pub(super) fn path(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }

    /// Line of the manifest, from 1, that starts with `key`; 1 if none does.
    pub(super) fn line(&self, key: &str) -> usize {
        let starts = |line: &str| {
            line.strip_prefix(key).is_some_and(|rest| {
                !rest.starts_with(|c: char| c.is_alphanumeric() || "-_".contains(c))
            })
        };
        self.source
            .lines()
            .position(starts)
            .map_or(1, |index| index + 1)
    }

    /// Line of the manifest that starts with `key` and names `word`, or else the one of `key`.
    pub(super) fn line_naming(&self, key: &str, word: &str) -> usize {
        let named = self
            .source
            .lines()
            .position(|line| line.starts_with(key) && line.contains(word));
        named.map_or_else(|| self.line(key), |index| index + 1)
    }

    /// Dependencies of every kind and target.
    pub(super) fn dependencies(&self) -> Vec<Dependency<'_>> {
        let targets = self
            .manifest
            .get("target")
            .and_then(Value::as_table)
            .into_iter()
            .flat_map(Table::values);
        let tables = std::iter::once(&self.manifest).chain(targets.filter_map(Value::as_table));
        let mut all = Vec::new();
        for table in tables {
            for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
                let named = table
                    .get(kind)
                    .and_then(Value::as_table)
                    .into_iter()
                    .flatten();
                all.extend(named.map(|(name, value)| Dependency {
                    name,
                    value,
                    dev: kind == "dev-dependencies",
                }));
            }
        }
        all
    }
}

#[cfg(test)]
impl Tree {
    /// A tree of these (path, text) files, for tests.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        #![allow(clippy::unwrap_used)]
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self::read(root.path()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_output_is_not_read_and_crates_are_found() {
        let manifest = "[package]\nname = \"a\"\n[dependencies]\nab = \"1\"\na-b.workspace = true\nb = \"1\"\n\
                        [target.'cfg(unix)'.dev-dependencies]\nc = { version = \"1\", features = [\"x\"] }\n";
        let tree = Tree::of(&[
            ("crates/a/Cargo.toml", manifest),
            (
                "crates/a/tests/own/Cargo.toml",
                "[package]\nname = \"own\"\n",
            ),
            ("crates/a/target/x.rs", ""),
            (".git/config", ""),
            ("runs/log", ""),
            ("docs/runs/x.md", ""),
        ]);
        assert_eq!(tree.files.len(), 3);
        assert_eq!(tree.crates.len(), 1);
        let a = &tree.crates[0];
        assert_eq!(
            (
                a.name.as_str(),
                a.line("a"),
                a.line("a-b"),
                a.line("b"),
                a.line("z")
            ),
            ("a", 1, 5, 6, 1)
        );
        let c = a
            .dependencies()
            .into_iter()
            .find(|dependency| dependency.dev);
        assert!(c.is_some_and(|c| c.name == "c" && c.features() == ["x"]));
    }
}
