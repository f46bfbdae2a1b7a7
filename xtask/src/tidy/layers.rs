//! Which crate may depend on which.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::{
    Violation,
    tree::{FEATURES, Tree},
};

/// What a crate may depend on: it may depend on crates of lower layers only.
pub(super) struct CrateRule {
    pub(super) name: &'static str,
    pub(super) layer: u32,
    /// May use burn, itself or through others.
    burn: bool,
    /// Depends on no other crate of the workspace although lower layers have some.
    alone: bool,
}

const fn rule(name: &'static str, layer: u32, burn: bool, alone: bool) -> CrateRule {
    CrateRule {
        name,
        layer,
        burn,
        alone,
    }
}

/// The crate of operations of a backend: its features name backends, and its matrix product takes pointers.
pub(super) const EXTENDS: &str = "vlp-ops";

/// What the tests of other crates share; not published.
pub(super) const TESTING: &str = "vlp-testing";

/// What fuzz targets call; not published.
const FUZZING: &str = "vlp-fuzz";

/// Crates that are not published.
pub(super) const UNPUBLISHED: [&str; 2] = [TESTING, FUZZING];

/// The layers, lowest first; nothing else says what depends on what.
pub(super) const LAYERS: [CrateRule; 21] = [
    rule("vlp-assign", 0, false, false),
    rule("vlp-distributed", 0, false, false),
    rule("vlp-draw", 0, false, false),
    rule("vlp-files", 0, false, false),
    // For tests alone: below every crate whose tests use it.
    rule(TESTING, 0, true, true),
    rule("vlp-text", 0, false, false),
    rule("vlp-data", 1, false, false),
    rule("vlp-eval", 1, false, false),
    rule("vlp-index", 1, false, false),
    rule("vlp-weights", 1, false, false),
    // The one crate below `vlp` that knows backends: it extends one.
    rule(EXTENDS, 1, true, false),
    rule("vlp-train", 2, true, false),
    rule("vlp-transformer", 2, true, false),
    rule("vlp-vision", 2, true, false),
    // Its tests count the tokens of generated captions.
    rule("vlp-scenes", 2, false, false),
    rule("vlp-serve", 2, false, false),
    rule("vlp-store", 2, false, false),
    rule("vlp-objectives", 3, true, false),
    rule("vlp-models", 4, true, false),
    rule("vlp", 5, true, false),
    rule(FUZZING, 6, true, false),
];

pub(super) fn find(name: &str) -> Option<&'static CrateRule> {
    LAYERS.iter().find(|rule| rule.name == name)
}

const TABLE: &str = "the table in xtask/src/tidy/layers.rs";

/// Dependencies of every kind go to strictly lower layers; crates without burn stay without.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    let locked = tree.text("Cargo.lock").map(locked);
    for member in tree.crates.iter().filter(|member| member.folder != "xtask") {
        let path = member.path();
        let Some(from) = find(&member.name) else {
            let message = format!("{} has no layer; give it one in {TABLE}", member.name);
            violations.push(Violation::new(path, member.line("name"), message));
            continue;
        };
        for dependency in member.dependencies() {
            let line = member.line(dependency.name);
            if dependency.dev && dependency.name == member.name {
                // Tests of a crate may ask it for its own features.
                continue;
            }
            if dependency.name == FEATURES {
                if !from.burn && dependency.features().contains(&"burn") {
                    let message = format!(
                        "{} asks {FEATURES} for burn; {} must not depend on burn",
                        from.name, from.name
                    );
                    violations.push(Violation::new(path.clone(), line, message));
                }
            } else if let Some(to) = find(dependency.name) {
                if from.alone {
                    let message = format!(
                        "{} depends on {}; it is to know no other crate of the workspace",
                        from.name, to.name
                    );
                    violations.push(Violation::new(path.clone(), line, message));
                } else if to.layer >= from.layer {
                    let message = format!(
                        "{} (layer {}) depends on {} (layer {}); only crates below layer {} are right",
                        from.name, from.layer, to.name, to.layer, from.layer
                    );
                    violations.push(Violation::new(path.clone(), line, message));
                }
            } else if !from.burn {
                let via = locked
                    .as_ref()
                    .map(|locked| reaches_burn(locked, dependency.name))
                    .unwrap_or_default();
                if is_burn(dependency.name) || via {
                    let message = format!(
                        "{} brings burn in through {}; {} is to do without",
                        from.name, dependency.name, from.name
                    );
                    violations.push(Violation::new(path.clone(), line, message));
                }
            }
        }
    }
    // A tree without any of the crates is no workspace of this kind.
    for rule in LAYERS
        .iter()
        .filter(|rule| !tree.crates.is_empty() && !tree.crates.iter().any(|c| c.name == rule.name))
    {
        let message = format!(
            "{} is missing; take it out of the table or add crates/{}",
            rule.name, rule.name
        );
        violations.push(Violation::new("xtask/src/tidy/layers.rs", 1, message));
    }
    violations
}

fn is_burn(name: &str) -> bool {
    name == "burn" || name.starts_with("burn-")
}

/// Names of the packages in a lock file with those they depend on, all versions of a name together.
fn locked(text: &str) -> BTreeMap<String, Vec<String>> {
    let lock: Table = text.parse().unwrap_or_default();
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock
        .get("package")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let Some(name) = package.get("name").and_then(Value::as_str) else {
            continue;
        };
        let needs = package
            .get("dependencies")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        // An entry is "name", "name version" or "name version (source)".
        let needs = needs
            .filter_map(Value::as_str)
            .filter_map(|entry| entry.split(' ').next());
        all.entry(name.to_owned())
            .or_default()
            .extend(needs.map(str::to_owned));
    }
    all
}

fn reaches_burn(locked: &BTreeMap<String, Vec<String>>, start: &str) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
    while let Some(name) = open.pop() {
        if is_burn(name) {
            return true;
        }
        if seen.insert(name) {
            open.extend(locked.get(name).into_iter().flatten().map(String::as_str));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        let violations = check(&Tree::of(files));
        violations
            .iter()
            .filter(|v| !v.message.contains("is missing"))
            .map(ToString::to_string)
            .collect()
    }

    fn manifest(name: &str, rest: &str) -> (String, String) {
        (
            format!("crates/{name}/Cargo.toml"),
            format!("[package]\nname = \"{name}\"\n{rest}"),
        )
    }

    #[test]
    fn edges_go_down() {
        let cases = [
            (
                "vlp-objectives",
                "[dependencies]\nvlp-vision.workspace = true\n",
                None,
            ),
            (
                "vlp-vision",
                "[dependencies]\nvlp-assign.workspace = true\nburn.workspace = true\n",
                None,
            ),
            (
                "vlp-vision",
                "[dependencies]\nvlp-transformer.workspace = true\n",
                Some(
                    "crates/vlp-vision/Cargo.toml:4: vlp-vision (layer 2) depends on vlp-transformer (layer 2); only crates below layer 2 are right",
                ),
            ),
            (
                "vlp-data",
                "[dev-dependencies]\nvlp-models.workspace = true\n",
                Some(
                    "crates/vlp-data/Cargo.toml:4: vlp-data (layer 1) depends on vlp-models (layer 4); only crates below layer 1 are right",
                ),
            ),
            (
                "vlp-testing",
                "[dependencies]\nvlp-text.workspace = true\n",
                Some(
                    "crates/vlp-testing/Cargo.toml:4: vlp-testing depends on vlp-text; it is to know no other crate of the workspace",
                ),
            ),
            (
                "vlp-new",
                "",
                Some(
                    "crates/vlp-new/Cargo.toml:2: vlp-new has no layer; give it one in the table in xtask/src/tidy/layers.rs",
                ),
            ),
        ];
        for (name, rest, expected) in cases {
            let (path, text) = manifest(name, rest);
            assert_eq!(
                messages(&[(&path, &text)]),
                expected.into_iter().collect::<Vec<_>>(),
                "{name}"
            );
        }
    }

    #[test]
    fn burn_is_found_through_others() {
        let (path, text) = manifest(
            "vlp-text",
            "[dependencies]\nserde = \"1\"\nhelper = \"1\"\n",
        );
        let lock = "[[package]]\nname = \"helper\"\ndependencies = [\"inner 1.0.0\"]\n[[package]]\nname = \"inner\"\n\
                    dependencies = [\"burn-core\"]\n[[package]]\nname = \"serde\"\n";
        assert_eq!(
            messages(&[(&path, &text), ("Cargo.lock", lock)]),
            [
                "crates/vlp-text/Cargo.toml:5: vlp-text brings burn in through helper; vlp-text is to do without"
            ]
        );
    }

    #[test]
    fn missing_crates_are_named() {
        let (path, text) = manifest("vlp-text", "");
        let violations = check(&Tree::of(&[(&path, &text)]));
        assert_eq!(violations.len(), LAYERS.len() - 1);
    }
}
