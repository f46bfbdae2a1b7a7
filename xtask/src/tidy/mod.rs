//! The repository's own rules, made executable.

mod architecture;
mod backends;
mod cycles;
mod forbidden;
mod layers;
mod links;
mod manifests;
mod sentences;
mod sizes;
mod tree;
mod vocabulary;

use std::fmt;
use std::path::Path;

pub(crate) use tree::FEATURES;
use tree::Tree;

/// A broken rule: where, what is wrong, and what would be right.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// Path from the repository's root, with `/`.
    path: String,
    /// Line from 1.
    line: usize,
    message: String,
}

impl Violation {
    fn new(path: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Crates that are published, lowest layer first.
pub(crate) fn published() -> impl Iterator<Item = &'static str> {
    let names = layers::LAYERS.iter().map(|rule| rule.name);
    names.filter(|name| !layers::UNPUBLISHED.contains(name))
}

/// Checks every rule below `root`; with `write`, renews the crate table of the documentation first.
pub(crate) fn run(root: &Path, write: bool) -> Result<(), String> {
    let read =
        || Tree::read(root).map_err(|error| format!("{} cannot be read: {error}", root.display()));
    let mut tree = read()?;
    if write && let Some(text) = architecture::renewed(&tree) {
        let path = root.join(architecture::PAGE);
        std::fs::write(&path, text)
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        tree = read()?;
    }
    print!("{}", sizes::summary(&tree));
    let violations = check(&tree);
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        1 => Err("1 rule is broken".to_owned()),
        count => Err(format!("{count} rules are broken")),
    }
}

fn check(tree: &Tree) -> Vec<Violation> {
    let rules = [
        layers::check,
        backends::check,
        architecture::check,
        manifests::check,
        sizes::check,
        forbidden::check,
        links::check,
        cycles::check,
        sentences::check,
        vocabulary::check,
    ];
    let mut violations: Vec<_> = rules.iter().flat_map(|rule| rule(tree)).collect();
    violations.sort();
    violations.dedup();
    violations
}
