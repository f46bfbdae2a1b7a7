//! `unsafe` in the sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::processes::folders;

/// Number of uses of `unsafe` by crate and by the folder of its sources that they are in; by the file, for AMX and where it is in
/// no folder.
pub(super) fn by_folder(root: &Path) -> Result<BTreeMap<(String, String), usize>, String> {
    let mut counts = BTreeMap::new();
    for package in packages(root)? {
        let name = package.file_name().unwrap_or_default().to_string_lossy();
        let sources = package.join("src");
        for file in folders::files(&sources)? {
            if file.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
            let uses = uses(&text);
            if uses > 0 {
                let inside = file.strip_prefix(&sources).unwrap_or(&file);
                let mut names: Vec<_> = inside.iter().map(|name| name.to_string_lossy()).collect();
                let is_of_amx = names.last().is_some_and(|name| name.starts_with("amx"));
                if names.len() > 1 && !is_of_amx {
                    names.pop();
                }
                *counts
                    .entry((name.to_string(), names.join("/")))
                    .or_default() += uses;
            }
        }
    }
    Ok(counts)
}

/// Names of the crates that the compiler lets have `unsafe`, and the number of the others.
pub(super) fn allowed(root: &Path) -> Result<(Vec<String>, usize), String> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        text.parse::<toml::Table>()
            .map_err(|e| format!("{}: {e}", path.display()))
    };
    let level = |lints: Option<&toml::Value>| {
        let level = lints?.get("rust")?.get("unsafe_code")?.as_str()?;
        Some(level.to_owned())
    };
    let workspace = read(root.join("Cargo.toml"))?;
    let forbidden = level(
        workspace
            .get("workspace")
            .and_then(|table| table.get("lints")),
    );
    let (mut allowed, mut others) = (vec![], 0);
    for package in packages(root)? {
        let manifest = read(package.join("Cargo.toml"))?;
        let lints = manifest.get("lints");
        let inherits = lints.and_then(|lints| lints.get("workspace")?.as_bool()) == Some(true);
        let level = if inherits {
            forbidden.clone()
        } else {
            level(lints)
        };
        match level.as_deref() {
            Some("forbid") => others += 1,
            _ => {
                let name = package.file_name().unwrap_or_default();
                allowed.push(name.to_string_lossy().into_owned());
            }
        }
    }
    Ok((allowed, others))
}

fn packages(root: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = root.join("crates");
    let mut packages = folders::entries(&folder)?;
    packages.retain(|path| path.join("Cargo.toml").is_file());
    packages.push(root.join("xtask"));
    Ok(packages)
}

/// The keyword outside of tests, not the word in comments and names.
fn uses(text: &str) -> usize {
    const FOLLOWING: [&str; 5] = ["{", "fn ", "impl", "extern", "trait "];
    let code = text.split("#[cfg(test)]\nmod tests {").next();
    let code = code
        .unwrap_or_default()
        .lines()
        .map(|line| line.split("//").next().unwrap_or(line));
    let code = code.collect::<Vec<_>>().join("\n");
    let parts: Vec<&str> = code.split("unsafe").collect();
    let pairs = parts.windows(2);
    let is_use = |pair: &&[&str]| {
        let is_word = !pair[0].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = pair[1].trim_start();
        let is_spaced = rest.len() < pair[1].len() || rest.starts_with('{');
        is_word && is_spaced && FOLLOWING.iter().any(|start| rest.starts_with(start))
    };
    pairs.filter(is_use).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyword_is_counted() {
        let text = "unsafe { a() }\n// unsafe { b() }\npub unsafe fn c() {}\n#[allow(unsafe_code)]\n\
                    unsafe impl Send for D {}\nlet e = \"'unsafe-inline'\";\nlet f = unsafe\n{ g() };\n\
                    #[cfg(test)]\nmod tests {\nfn a() { unsafe { b() } }\n}\n";
        assert_eq!(uses(text), 4);
    }
}
