//! No file refers to a path outside the repository.

use super::{Violation, tree::Tree};

/// Paths of one machine, put together so that this file does not name them itself.
const FORBIDDEN: [&str; 3] = [
    concat!("..", "/shared"),
    concat!("shared", "/data"),
    concat!("/wo", "rk/"),
];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.texts("") {
        for (index, line) in text.lines().enumerate() {
            for outside in FORBIDDEN.iter().filter(|outside| line.contains(**outside)) {
                let message = format!(
                    "names {outside:?}, a path outside the repository; take the path from the user"
                );
                violations.push(Violation::new(path, index + 1, message));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_places_are_found_with_their_line() {
        let text = format!("fine: shared, work/\n# {}/x\n", FORBIDDEN[0]);
        let tree = Tree::of(&[("docs/a.md", &text), ("b.toml", "path = \"data\"")]);
        let violations = check(&tree);
        assert_eq!(violations.len(), 1);
        assert_eq!(
            (violations[0].path.as_str(), violations[0].line),
            ("docs/a.md", 2)
        );
    }

    #[test]
    fn this_file_passes() {
        assert!(check(&Tree::of(&[("forbidden.rs", include_str!("forbidden.rs"))])).is_empty());
    }
}
