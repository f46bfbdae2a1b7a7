//! `cargo xtask publish`: packages every published crate, lowest layer first, and builds each from its archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tidy;

/// Folder to which the workspace is copied, without what only this repository needs.
const COPY: &str = "target/publish";
const LICENSES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// Packages the crates that would be published. With `build`, each crate is then built from its archive, on the archives of
/// those below it; this builds burn again, with the features of each crate alone.
pub(crate) fn dry_run(root: &Path, build: bool) -> Result<(), String> {
    let copy = root.join(COPY);
    copy_workspace(root, &copy)?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["package", "--allow-dirty"]);
    for name in tidy::published() {
        command.args(["--package", name]);
    }
    if !build {
        command.arg("--no-verify");
    }
    let status = command
        .env("CARGO_TARGET_DIR", root.join("target/publish-build"))
        .current_dir(&copy)
        .status()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if !status.success() {
        return Err(format!("cargo package: {status}"));
    }
    let archives = root.join("target/publish-build/package");
    for name in tidy::published() {
        let size = archive_size(&archives, name)?;
        println!("{name:<16} {:>8.1} KiB", size as f64 / 1024.0);
    }
    Ok(())
}

/// The tracked and new files of the repository as they are now, with the feature crate taken out of every manifest and the
/// license texts in every crate.
fn copy_workspace(root: &Path, copy: &Path) -> Result<(), String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("git could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files: {}", output.status));
    }
    if copy.exists() {
        fs::remove_dir_all(copy).map_err(|error| format!("{}: {error}", copy.display()))?;
    }
    for file in String::from_utf8_lossy(&output.stdout).lines() {
        let (from, to) = (root.join(file), copy.join(file));
        if !from.is_file() || file.starts_with(&format!("crates/{}/", tidy::FEATURES)) {
            continue;
        }
        let failed = |error| format!("{}: {error}", to.display());
        fs::create_dir_all(to.parent().unwrap_or(copy)).map_err(failed)?;
        fs::copy(&from, &to).map_err(failed)?;
        if file.ends_with("Cargo.toml") {
            let manifest = fs::read_to_string(&to).map_err(failed)?;
            fs::write(&to, without_features(&manifest)).map_err(failed)?;
        }
    }
    for name in tidy::published() {
        for license in LICENSES {
            let to = copy.join("crates").join(name).join(license);
            fs::copy(root.join(license), &to)
                .map_err(|error| format!("{}: {error}", to.display()))?;
        }
    }
    Ok(())
}

/// A manifest without the line that names the feature crate.
fn without_features(manifest: &str) -> String {
    let lines = manifest
        .lines()
        .filter(|line| !line.starts_with(tidy::FEATURES));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Size in bytes of the archive of a crate.
fn archive_size(folder: &Path, name: &str) -> Result<u64, String> {
    let failed = |error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(failed)?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let archive: Option<PathBuf> = paths.into_iter().find(|path| {
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let version = file
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.strip_suffix(".crate"));
        version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    });
    let archive = archive.ok_or_else(|| format!("{}: no archive of {name}", folder.display()))?;
    fs::metadata(&archive)
        .map(|data| data.len())
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feature_crate_leaves_the_manifest_and_nothing_else_does() {
        let manifest = "[dependencies]\nserde.workspace = true\nworkspace-hack = { workspace = true }\n[lints]\n";
        assert_eq!(
            without_features(manifest),
            "[dependencies]\nserde.workspace = true\n[lints]\n"
        );
    }
}
