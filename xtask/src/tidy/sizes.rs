//! Source files small enough to hold one concept.

use super::{Violation, tree::Tree};

/// Lines above which a file is listed.
const LONG: usize = 400;
/// Lines above which a file breaks the rule.
const TOO_LONG: usize = 600;

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let lengths = tree
        .texts(".rs")
        .map(|(path, text)| (path, text.lines().count()));
    lengths
        .filter(|(_, lines)| *lines > TOO_LONG)
        .map(|(path, lines)| {
            let message =
                format!("{lines} lines; split the file by concept, at most {TOO_LONG} are right");
            Violation::new(path, TOO_LONG + 1, message)
        })
        .collect()
}

/// Median and 90th percentile of the lengths, and the files that are long.
pub(super) fn summary(tree: &Tree) -> String {
    let mut lengths: Vec<_> = tree
        .texts(".rs")
        .map(|(path, text)| (text.lines().count(), path))
        .collect();
    if lengths.is_empty() {
        return String::new();
    }
    lengths.sort_unstable();
    // Nearest rank: the smallest length that this percentage of the files does not exceed.
    let rank = |percent: usize| lengths[(lengths.len() * percent).div_ceil(100).max(1) - 1].0;
    let mut text = format!(
        "{} Rust files: median {} lines, 90th percentile {}\n",
        lengths.len(),
        rank(50),
        rank(90)
    );
    for (lines, path) in lengths.iter().rev().filter(|(lines, _)| *lines > LONG) {
        text += &format!("  {lines:>4} {path}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_are_listed_and_too_long_ones_fail() {
        let lines = |count: usize| "\n".repeat(count);
        let (short, long, most, over) = (lines(10), lines(401), lines(600), lines(601));
        let tree = Tree::of(&[
            ("a.rs", &short),
            ("b.rs", &short),
            ("c.rs", &long),
            ("d/e.rs", &most),
            ("d/f.rs", &over),
            ("g.txt", &over),
        ]);
        let violations: Vec<_> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            violations,
            ["d/f.rs:601: 601 lines; split the file by concept, at most 600 are right"]
        );
        assert_eq!(
            summary(&tree),
            "5 Rust files: median 401 lines, 90th percentile 601\n   601 d/f.rs\n   600 d/e.rs\n   401 c.rs\n"
        );
    }
}
