//! The table of crates in the documentation, equal to the manifests.

use super::layers::{LAYERS, find};
use super::{Violation, tree::Tree};

/// The page that shows the table.
pub(super) const PAGE: &str = "docs/architecture.md";
const START: &str = "<!-- crates -->";
const END: &str = "<!-- /crates -->";

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let Some(text) = tree.text(PAGE) else {
        let message =
            format!("the page is missing; it is to hold the crate table between {START} and {END}");
        return vec![Violation::new(PAGE, 1, message)];
    };
    let Some((before, shown, _)) = parts(text) else {
        return vec![Violation::new(
            PAGE,
            1,
            format!("no crate table; put it between {START} and {END}, each on a line of its own"),
        )];
    };
    if shown.trim() == table(tree).trim() {
        return Vec::new();
    }
    let line = before.lines().count();
    vec![Violation::new(
        PAGE,
        line,
        "the crate table differs from the manifests; `cargo xtask tidy --write` updates it",
    )]
}

/// The page with its table renewed; `None` if there is no page or no markers for the table.
pub(super) fn renewed(tree: &Tree) -> Option<String> {
    let (before, _, after) = parts(tree.text(PAGE)?)?;
    Some(format!("{before}\n{}\n{after}", table(tree)))
}

/// The page up to and with the first marker, what is between, and the page from the second marker.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let start = text.find(START)? + START.len();
    let end = start + text[start..].find(END)?;
    Some((&text[..start], &text[start..end], &text[end..]))
}

fn table(tree: &Tree) -> String {
    let mut lines = "\n| crate | layer | depends on |\n| --- | --- | --- |\n".to_owned();
    for rule in &LAYERS {
        let Some(member) = tree.crates.iter().find(|member| member.name == rule.name) else {
            continue;
        };
        let dependencies = member.dependencies();
        let mut named: Vec<_> = dependencies
            .iter()
            .filter(|d| !d.dev && find(d.name).is_some())
            .map(|d| d.name)
            .collect();
        named.sort_unstable();
        named.dedup();
        let named: Vec<_> = named.iter().map(|name| format!("`{name}`")).collect();
        let depends = if named.is_empty() {
            "–".to_owned()
        } else {
            named.join(", ")
        };
        lines += &format!("| `{}` | {} | {depends} |\n", rule.name, rule.layer);
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MANIFEST: &str = "[package]\nname = \"vlp-models\"\n[dependencies]\nvlp-text = \"0\"\nvlp-data = \"0\"\n\
                            [dev-dependencies]\nvlp-eval = \"0\"\n";

    fn tree(page: &str) -> Tree {
        Tree::of(&[("crates/vlp-models/Cargo.toml", MANIFEST), (PAGE, page)])
    }

    #[test]
    fn a_stale_table_is_renewed_and_then_right() {
        let page = "# Crates\n\n<!-- crates -->\nold\n<!-- /crates -->\nrest\n";
        let violations: Vec<_> = check(&tree(page)).iter().map(ToString::to_string).collect();
        assert_eq!(
            violations,
            [
                "docs/architecture.md:3: the crate table differs from the manifests; `cargo xtask tidy --write` updates it"
            ]
        );
        let new = renewed(&tree(page)).unwrap();
        assert!(
            new.contains("\n| `vlp-models` | 4 | `vlp-data`, `vlp-text` |\n"),
            "{new}"
        );
        assert!(new.starts_with("# Crates\n") && new.ends_with("<!-- /crates -->\nrest\n"));
        assert!(check(&tree(&new)).is_empty());
        assert_eq!(renewed(&tree(&new)).unwrap(), new);
    }

    #[test]
    fn a_page_without_table_is_told() {
        assert!(
            check(&tree("no markers"))
                .remove(0)
                .message
                .contains("no crate table")
        );
        assert!(renewed(&tree("no markers")).is_none());
        assert!(
            check(&Tree::of(&[]))
                .remove(0)
                .message
                .contains("page is missing")
        );
    }
}
