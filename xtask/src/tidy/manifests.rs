//! What every crate has: a README as its documentation, a description, a license, the shared lints.

use toml::Value;

use super::Violation;
use super::layers::{EXTENDS, UNPUBLISHED};
use super::tree::{Crate, Tree};

const DOC: &str = "#![doc = include_str!(\"../README.md\")]";
/// Lints of clippy that keep library code from panicking.
const LINTS: [&str; 3] = [
    "clippy::unwrap_used",
    "clippy::expect_used",
    "clippy::panic",
];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    tree.crates
        .iter()
        .flat_map(|member| check_crate(tree, member))
        .collect()
}

fn check_crate(tree: &Tree, member: &Crate) -> Vec<Violation> {
    let mut violations = Vec::new();
    let lints = member
        .manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"));
    // It repeats them, for one exception that is stated with its reason.
    if lints.and_then(Value::as_bool) != Some(true) && member.name != EXTENDS {
        let message = "the workspace's lints do not apply; add `[lints]` with `workspace = true`";
        violations.push(Violation::new(
            member.path(),
            member.line("[lints]"),
            message,
        ));
    }
    // Programs of the repository itself are not published.
    if member.folder.starts_with("crates/") {
        published(tree, member, &mut violations);
    }
    let roots = [
        format!("{}/src/lib.rs", member.folder),
        format!("{}/src/main.rs", member.folder),
    ];
    let programs = format!("{}/src/bin/", member.folder);
    for (path, text) in tree.texts(".rs") {
        if roots.iter().any(|root| root == path) || path.starts_with(&programs) {
            allowed(path, text, &mut violations);
        }
    }
    violations
}

fn published(tree: &Tree, member: &Crate, violations: &mut Vec<Violation>) {
    let readme = format!("{}/README.md", member.folder);
    if tree.text(&readme).is_none_or(|text| text.trim().is_empty()) {
        violations.push(Violation::new(
            readme,
            1,
            "there is no README; say what the crate does, with an example",
        ));
    }
    let package = member.manifest.get("package");
    for field in ["description", "license"] {
        let given = package.and_then(|package| package.get(field));
        if given.is_none_or(|value| value.as_str().is_some_and(|text| text.trim().is_empty())) {
            let message = format!("[package] has no {field}; a published crate needs one");
            violations.push(Violation::new(
                member.path(),
                member.line("[package]"),
                message,
            ));
        }
    }
    if !UNPUBLISHED.contains(&member.name.as_str()) {
        for problem in unpublishable(package) {
            let message = format!("[package] {problem}");
            violations.push(Violation::new(
                member.path(),
                member.line("[package]"),
                message,
            ));
        }
    }
    let library = format!("{}/src/lib.rs", member.folder);
    if tree
        .text(&library)
        .is_none_or(|text| !text.lines().any(|line| line.trim() == DOC))
    {
        violations.push(Violation::new(
            library,
            1,
            format!("the README is not the crate's documentation; add {DOC}"),
        ));
    }
}

/// What a crate on crates.io and docs.rs lacks.
fn unpublishable(package: Option<&Value>) -> Vec<&'static str> {
    let array = |key: &str| package?.get(key)?.as_array();
    let mut problems = Vec::new();
    if array("keywords").is_none_or(|words| words.is_empty() || words.len() > 5) {
        problems.push("needs one to five `keywords` of its own");
    }
    if array("categories").is_none_or(Vec::is_empty) {
        problems.push("needs `categories` of its own");
    }
    let docs = package.and_then(|package| package.get("metadata")?.get("docs")?.get("rs"));
    if docs.is_none() {
        problems.push("needs `metadata.docs.rs` with the features to document");
    }
    let fixtures = |entry: &Value| entry.as_str().is_some_and(|path| path.starts_with("tests"));
    let licenses = Value::from("LICENSE-*");
    if array("include").is_none_or(|paths| !paths.contains(&licenses) || paths.iter().any(fixtures))
    {
        problems.push("needs `include` with LICENSE-*, without tests and their fixtures");
    }
    problems
}

/// Reports attributes of a crate's root that switch a lint against panics off outside tests.
fn allowed(path: &str, text: &str, violations: &mut Vec<Violation>) {
    // An attribute may span lines, and one that starts with `#![` may also stand in a module below:
    // that is no business of the root, and it is indented.
    let mut attribute = String::new();
    let mut start = 0;
    for (index, line) in text.lines().enumerate() {
        if attribute.is_empty() {
            if !line.starts_with("#![") {
                continue;
            }
            start = index + 1;
        }
        attribute += line.split("//").next().unwrap_or(line).trim();
        if !attribute.ends_with(']') {
            continue;
        }
        let bare: String = attribute.chars().filter(|c| !c.is_whitespace()).collect();
        let off = ["allow(", "expect("].iter().any(|word| bare.contains(word));
        if off && !bare.starts_with("#![cfg_attr(test,") {
            for lint in LINTS.iter().filter(|lint| names(&bare, lint)) {
                let message = format!(
                    "the crate allows {lint} everywhere; allow it where an invariant is stated, or under `cfg_attr(test, ...)`"
                );
                violations.push(Violation::new(path, start, message));
            }
        }
        attribute.clear();
    }
}

/// Whether an attribute names exactly this lint, not a longer one.
fn names(attribute: &str, lint: &str) -> bool {
    let mut rest = attribute;
    while let Some(at) = rest.find(lint) {
        rest = &rest[at + lint.len()..];
        if !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(manifest: &str, readme: &str, library: &str) -> Vec<String> {
        let tree = Tree::of(&[
            ("crates/a/Cargo.toml", manifest),
            ("crates/a/README.md", readme),
            ("crates/a/src/lib.rs", library),
        ]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    const GOOD: &str = "[package]\nname = \"a\"\ndescription = \"A.\"\nlicense.workspace = true\n\
                        keywords = [\"a\"]\ncategories = [\"science\"]\ninclude = [\"LICENSE-*\"]\nmetadata.docs.rs.all-features = true\n\
                        [lints]\nworkspace = true\n";

    #[test]
    fn complete_crates_pass_and_gaps_are_named() {
        assert_eq!(messages(GOOD, "# a", DOC), [""; 0]);
        let violations = messages(
            "[package]\nname = \"a\"\ndescription = \"\"\n",
            " ",
            "//! Docs.\n",
        );
        assert_eq!(violations.len(), 9);
        for (text, part) in violations.iter().zip([
            "lints",
            "no README",
            "no description",
            "no license",
            "`keywords`",
            "`categories`",
            "`metadata.docs.rs`",
            "`include`",
            "not the crate's documentation",
        ]) {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn lints_stay_on_outside_tests() {
        let count = |attributes: &str| {
            messages(
                GOOD,
                "# a",
                &format!("{DOC}\n{attributes}\nmod tests {{\n    #![allow(clippy::panic)]\n}}\n"),
            )
            .len()
        };
        assert_eq!(count("#![allow(clippy::unwrap_used)]"), 1);
        assert_eq!(
            count("#![expect(\n    clippy::unwrap_used, // why\n    clippy::panic\n)]"),
            2
        );
        assert_eq!(
            count("#![cfg_attr(not(test), allow(clippy::expect_used))]"),
            1
        );
        assert_eq!(count("#![cfg_attr(test, allow(clippy::unwrap_used))]"), 0);
        assert_eq!(
            count("#![allow(clippy::panic_in_result_fn)]\n#![deny(clippy::panic)]"),
            0
        );
    }
}
