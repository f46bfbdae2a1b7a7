//! No module of a crate depends, through others, on itself.
//!
//! Modules are compared with their siblings: what a file or folder refers to counts for the sibling that holds it, and
//! a parent may refer to its children and they to it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Violation, tree::Tree};

/// Modules by path below `src` (`conv/direct`), each with the modules that it refers to.
type Graph = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for member in &tree.crates {
        let source = format!("{}/src/", member.folder);
        let files: BTreeMap<String, &str> = tree
            .texts(".rs")
            .filter_map(|(path, text)| Some((module(path.strip_prefix(&source)?), text)))
            .collect();
        for cycle in cycles(&graph(&files)) {
            let path = format!("{source}{}", cycle.first().map_or("", String::as_str));
            let message = format!(
                "modules depend on each other: {}; move what both need into a module of its own",
                cycle.join(" -> ")
            );
            violations.push(Violation::new(path, 1, message));
        }
    }
    violations
}

/// The module of a file: `conv/mod.rs` and `conv.rs` are `conv`, the crate's root is empty.
fn module(file: &str) -> String {
    let name = file.trim_end_matches(".rs");
    let name = name.strip_suffix("/mod").unwrap_or(name);
    match name {
        "lib" | "main" | "mod" => String::new(),
        name => name.to_owned(),
    }
}

fn graph(files: &BTreeMap<String, &str>) -> Graph {
    let mut names = Names {
        modules: files.keys().map(String::as_str).collect(),
        exports: BTreeMap::new(),
    };
    let codes: BTreeMap<&str, String> = files
        .iter()
        .map(|(module, text)| (module.as_str(), code(text)))
        .collect();
    for (module, code) in &codes {
        names.add_exports(module, code);
    }
    codes
        .iter()
        .map(|(from, code)| ((*from).to_owned(), references(from, code, &names)))
        .collect()
}

/// A file without comments and without the tests inside it, which may use what they like.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// What a path may name.
struct Names<'a> {
    modules: BTreeSet<&'a str>,
    /// The actual location of an item that a module re-exports, by (module, name).
    exports: BTreeMap<(String, String), String>,
}

impl Names<'_> {
    /// Notes what `module` exports of its children: `pub use child::Item`.
    fn add_exports(&mut self, module: &str, code: &str) {
        for (index, start) in code.match_indices("use ") {
            let before = code[..index].trim_end();
            if !(before.ends_with("pub")
                || before.ends_with("pub(crate)")
                || before.ends_with("pub(super)"))
            {
                continue;
            }
            for path in paths(&code[index + start.len()..]) {
                let full: Vec<&str> = module
                    .split('/')
                    .filter(|part| !part.is_empty())
                    .chain(path)
                    .collect();
                let Some((item, parents)) = full.split_last() else {
                    continue;
                };
                let parent = parents.join("/");
                if parent != module && self.modules.contains(parent.as_str()) {
                    let key = (module.to_owned(), (*item).to_owned());
                    self.exports.insert(key, parent);
                }
            }
        }
    }

    /// The module of what `path` names: the longest prefix that is a module, or where that module has the next name from.
    fn module_of(&self, path: &[&str]) -> Option<String> {
        let length = (0..=path.len())
            .rev()
            .find(|length| self.modules.contains(path[..*length].join("/").as_str()))?;
        let mut module = path[..length].join("/");
        if let Some(item) = path.get(length) {
            while let Some(source) = self.exports.get(&(module.clone(), (*item).to_owned())) {
                module.clone_from(source);
            }
        }
        Some(module)
    }
}

/// Modules that the code of module `from` names by a path from `crate` or `super`.
fn references(from: &str, code: &str, names: &Names<'_>) -> BTreeSet<String> {
    let mut references = BTreeSet::new();
    for start in ["crate::", "super::"] {
        for (index, _) in code.match_indices(start) {
            let before = code[..index].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let mut base: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
            let mut rest = &code[index..];
            if let Some(after) = rest.strip_prefix("crate::") {
                base.clear();
                rest = after;
            }
            while let Some(after) = rest.strip_prefix("super::") {
                base.pop();
                rest = after;
            }
            for path in paths(rest) {
                let full: Vec<&str> = base.iter().copied().chain(path.iter().copied()).collect();
                references.extend(names.module_of(&full).filter(|name| name != from));
            }
        }
    }
    references
}

/// The paths of a `use` tree or expression that starts here: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn paths(text: &str) -> Vec<Vec<&str>> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    if name.is_empty() {
        return match text.strip_prefix('{') {
            Some(inner) => group(inner).into_iter().flat_map(paths).collect(),
            None => vec![vec![]],
        };
    }
    let tails = match rest.strip_prefix("::") {
        Some(rest) => paths(rest),
        None => vec![vec![]],
    };
    tails
        .into_iter()
        .map(|tail| std::iter::once(name).chain(tail).collect())
        .collect()
}

/// The items of a group, up to its closing brace.
fn group(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (index, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(text[start..index].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(text[start..index].trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    items.retain(|item| !item.is_empty());
    items
}

/// Cycles among siblings, the smallest name first; one for each set of modules that reach each other.
fn cycles(graph: &Graph) -> Vec<Vec<String>> {
    let mut levels: BTreeMap<String, Graph> = BTreeMap::new();
    for (from, targets) in graph {
        for to in targets {
            // The folder in which their paths part, and the sibling of each there.
            let (a, b): (Vec<&str>, Vec<&str>) =
                (from.split('/').collect(), to.split('/').collect());
            let common = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
            let (Some(_), Some(_)) = (a.get(common), b.get(common)) else {
                continue;
            };
            if from.is_empty() || to.is_empty() {
                continue;
            }
            let sibling = |path: &[&str]| path[..=common].join("/");
            let level = levels.entry(a[..common].join("/")).or_default();
            level.entry(sibling(&a)).or_default().insert(sibling(&b));
        }
    }
    levels.values().flat_map(level_cycles).collect()
}

fn level_cycles(graph: &Graph) -> Vec<Vec<String>> {
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    let mut cycles = Vec::new();
    for start in graph.keys() {
        if reported.contains(start.as_str()) {
            continue;
        }
        if let Some(path) = path_back(graph, start) {
            reported.extend(
                graph
                    .keys()
                    .filter(|name| path.contains(name))
                    .map(String::as_str),
            );
            cycles.push(path);
        }
    }
    cycles
}

/// A shortest way from `start` back to it.
fn path_back(graph: &Graph, start: &str) -> Option<Vec<String>> {
    let mut parents: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(name) = queue.pop_front() {
        for next in graph.get(name).into_iter().flatten() {
            if next == start {
                let mut path = vec![start.to_owned(), name.to_owned()];
                let mut current = name;
                while let Some(parent) = parents.get(current) {
                    path.push((*parent).to_owned());
                    current = parent;
                }
                if name == start {
                    path.pop();
                }
                path.reverse();
                path.push(start.to_owned());
                path.dedup();
                return Some(path);
            }
            if next != start && !parents.contains_key(next.as_str()) {
                parents.insert(next, name);
                queue.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        let manifest = ("crates/a/Cargo.toml", "[package]\nname = \"a\"\n");
        let files: Vec<_> = std::iter::once(manifest)
            .chain(files.iter().copied())
            .collect();
        check(&Tree::of(&files))
            .iter()
            .map(|violation| violation.message.clone())
            .collect()
    }

    #[test]
    fn cycles_of_siblings_are_reported_once_with_their_way() {
        let messages = messages(&[
            ("crates/a/src/lib.rs", "mod one; mod two; mod three;"),
            ("crates/a/src/one.rs", "use crate::two::Thing;"),
            ("crates/a/src/two/mod.rs", "mod inner;"),
            ("crates/a/src/two/inner.rs", "use crate::{three, other::x};"),
            ("crates/a/src/three.rs", "fn f() { super::one::g() }"),
        ]);
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert!(
            messages[0].contains("one -> two -> three -> one"),
            "{messages:?}"
        );
    }

    #[test]
    fn items_exported_by_the_root_count_for_the_module_that_has_them() {
        let messages = messages(&[
            (
                "crates/a/src/lib.rs",
                "mod one; mod two;\npub use one::One;\npub use two::{Other, Two};",
            ),
            ("crates/a/src/one.rs", "use crate::Two;"),
            ("crates/a/src/two.rs", "use crate::{One, x};"),
        ]);
        assert_eq!(messages.len(), 1, "{messages:?}");
    }

    #[test]
    fn parents_and_children_comments_and_tests_are_no_cycle() {
        let messages = messages(&[
            ("crates/a/src/lib.rs", "mod one; pub use one::X;"),
            (
                "crates/a/src/one/mod.rs",
                "mod inner; use inner::Y;\n// crate::two::Z\n",
            ),
            (
                "crates/a/src/one/inner.rs",
                "use super::X; use crate::two::{Z, W};",
            ),
            (
                "crates/a/src/two.rs",
                "pub struct Z;\n#[cfg(test)]\nmod tests { use crate::one::X; }",
            ),
        ]);
        assert!(messages.is_empty(), "{messages:?}");
    }

    #[test]
    fn use_trees_are_read_whole() {
        assert_eq!(
            paths("a::{b, c::{d, e}, self}; more"),
            [
                vec!["a", "b"],
                vec!["a", "c", "d"],
                vec!["a", "c", "e"],
                vec!["a", "self"]
            ]
        );
    }
}
