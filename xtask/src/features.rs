//! Checks that building one package alone uses the same features as building the whole workspace.
//!
//! Cargo unifies features over the packages of one command, `cargo test --workspace` those of development dependencies too.
//! If `-p CRATE` enables fewer features of a shared dependency, that dependency and all that depend on it are built again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The crate that every crate of the workspace depends on.
const HACK: &str = "workspace-hack";
/// Its feature of the crates that build on burn.
const BURN: &str = "burn";

/// Feature sets of each dependency, by `name version`: a dependency of both proc macros and programs may have two.
type Features = BTreeMap<String, BTreeSet<String>>;

/// Fails if a workspace package alone builds a dependency with other features than the workspace does, or if it builds on burn
/// and on other features of `workspace-hack`: all crates of the workspace that it needs would be built again.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let workspace = features(root, "normal,build,dev", &["--workspace"])?;
    let mut differences = Vec::new();
    let mut sets = BTreeMap::<String, usize>::new();
    for package in packages(root)? {
        let alone = features(root, "normal,build", &["--package", &package])?;
        let of_hack = alone.iter().filter(|(name, _)| is_hack(name));
        for set in of_hack.flat_map(|(_, sets)| sets) {
            *sets.entry(set.clone()).or_default() += 1;
        }
        for (dependency, wanted) in missing(&alone, &workspace) {
            differences.push(format!(
                "cargo build -p {package}: {dependency} is built again, with the features {wanted:?}"
            ));
        }
    }
    if differences.is_empty() {
        println!("every package alone builds its dependencies with the workspace's features");
        println!("the workspace's own crates are built once for each set of features of {HACK}:");
        for (set, packages) in &sets {
            let set = if set.is_empty() { "none" } else { set };
            println!("  {set}: {packages} packages");
        }
        return Ok(());
    }
    for line in &differences {
        println!("{line}");
    }
    Err(format!(
        "{} dependencies are built twice; crates/{HACK}/Cargo.toml is to ask for the workspace's features of each, \
         and its own feature {BURN:?} for all of its features (`cargo tree --workspace --format '{{p}} {{f}}'` shows them)",
        differences.len()
    ))
}

/// Whether a name with a version is that of [`HACK`].
fn is_hack(dependency: &str) -> bool {
    dependency.split(' ').next() == Some(HACK)
}

/// Dependencies whose features in `alone` are none of those in `workspace`, with the features.
fn missing<'a>(alone: &'a Features, workspace: &Features) -> Vec<(&'a str, &'a str)> {
    let sets = alone
        .iter()
        .flat_map(|(name, sets)| sets.iter().map(move |set| (name.as_str(), set.as_str())));
    // The crates of the workspace that need no burn are built in seconds, and without what they do not need.
    let is_light = |name: &str, set: &str| is_hack(name) && !set.split(',').any(|f| f == BURN);
    let is_known = |name: &str, set: &str| workspace.get(name).is_some_and(|of| of.contains(set));
    sets.filter(|(name, set)| !is_known(name, set) && !is_light(name, set))
        .collect()
}

fn features(root: &Path, edges: &str, arguments: &[&str]) -> Result<Features, String> {
    let text = cargo(
        root,
        &[
            &[
                "tree", "--edges", edges, "--prefix", "none", "--format", "{p}|{f}",
            ],
            arguments,
        ]
        .concat(),
    )?;
    Ok(parse(&text))
}

/// Reads lines of `name vVERSION (SOURCE)|FEATURES (*)`; packages of the workspace itself but [`HACK`] are left out.
fn parse(text: &str) -> Features {
    let mut features = Features::new();
    for line in text.lines() {
        let line = line.trim_end_matches(" (*)");
        let Some((package, set)) = line.split_once('|') else {
            continue;
        };
        let mut words = package.split(' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else {
            continue;
        };
        // A path in brackets is a member of the workspace.
        if name != HACK && words.any(|word| word.starts_with("(/") || word.contains(":\\")) {
            continue;
        }
        let sets = features.entry(format!("{name} {version}")).or_default();
        sets.insert(set.to_owned());
    }
    features
}

/// Names of the workspace's packages.
fn packages(root: &Path) -> Result<Vec<String>, String> {
    let text = cargo(root, &["metadata", "--no-deps", "--format-version", "1"])?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let names = packages.filter_map(|package| package["name"].as_str());
    Ok(names.map(str::to_owned).collect())
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cargo {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_feature_set_is_reported_and_a_second_one_of_the_workspace_is_not() {
        let workspace = parse(
            "vlp v0.1.0 (/src/vlp)|\nsyn v3.0.9|derive,full\nlibc v0.2.1|std\nlibc v0.2.1|extra,std (*)\nserde v1.0.1|std\n",
        );
        let alone = parse(
            "vlp v0.1.0 (/src/vlp)|\nsyn v3.0.9|derive\nlibc v0.2.1|std\nserde v1.0.1|std (*)\n",
        );
        assert_eq!(missing(&alone, &workspace), [("syn v3.0.9", "derive")]);
        assert!(missing(&workspace, &workspace).is_empty());
    }

    #[test]
    fn crates_that_need_burn_share_the_features_of_workspace_hack() {
        let hack = |set: &str| parse(&format!("{HACK} v0.1.0 (/src/{HACK})|{set} (*)\n"));
        let workspace = hack("burn,http");
        for set in ["", "http", "burn,http"] {
            assert_eq!(missing(&hack(set), &workspace), [], "{set}");
        }
        let name = "workspace-hack v0.1.0";
        assert_eq!(missing(&hack("burn"), &workspace), [(name, "burn")]);
    }
}
