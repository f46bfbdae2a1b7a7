//! Relative links of Markdown pages lead to files that are there.

use super::{Violation, tree::Tree};

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (page, text) in tree.texts(".md") {
        let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, target) in links(text) {
            let outside =
                target.contains("://") || target.starts_with("mailto:") || target.starts_with('#');
            // Links to items, which rustdoc resolves and checks.
            if outside || target.contains("::") {
                continue;
            }
            let file = target.split(['#', '?']).next().unwrap_or(target);
            let there = resolve(folder, file).is_some_and(|path| exists(tree, &path));
            if !there {
                let message = format!(
                    "links to {target:?}, which is not there; name a file relative to this page"
                );
                violations.push(Violation::new(page, line, message));
            }
        }
    }
    violations
}

/// Targets of inline links and of link definitions outside code, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut violations = Vec::new();
    let mut fence = None;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let mark = ["```", "~~~"]
            .into_iter()
            .find(|mark| trimmed.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => {
                // Every second piece between backticks is code.
                let prose = line.split('`').step_by(2);
                for piece in prose.clone().flat_map(|piece| piece.split("](").skip(1)) {
                    violations.extend(piece.split(')').next().map(|target| (index + 1, target)));
                }
                // A link around code starts in one piece and ends in the next.
                if let Some((_, target)) = trimmed
                    .strip_prefix('[')
                    .and_then(|rest| rest.split_once("]: "))
                {
                    violations.push((index + 1, target));
                }
            }
            _ => {}
        }
    }
    // A title may follow the target: (file.md "Title").
    let bare = |target: &'_ str| target.trim().split(' ').next().map_or(0, str::len);
    violations
        .into_iter()
        .map(|(line, target)| (line, target.trim().get(..bare(target)).unwrap_or(target)))
        .collect()
}

/// The path from the root; `None` if it leaves the repository.
fn resolve(folder: &str, file: &str) -> Option<String> {
    let mut path: Vec<&str> = if file.starts_with('/') {
        Vec::new()
    } else {
        folder.split('/').filter(|part| !part.is_empty()).collect()
    };
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop()?;
            }
            part => path.push(part),
        }
    }
    Some(path.join("/"))
}

/// Whether there is a file or folder of this path; the root is one.
fn exists(tree: &Tree, path: &str) -> bool {
    let inside = format!("{path}/");
    path.is_empty()
        || tree
            .files
            .keys()
            .any(|file| file == path || file.starts_with(&inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_are_found() {
        let page = "[a](../README.md) [b](b.md#part \"Title\") ![c](img/c.png) [web](https://x.org/y)\n\
                    [`code`](gone.md) and `[not](a-link.md)`\n\
                    ```text\n[neither](this.md)\n```\n\
                    [part](#part) [item](crate::Item) [up](../../x.md)\n\
                    [ref]: ../presets/tiny.toml\n[ref]: dead.toml\n[folder](../presets)\n";
        let tree = Tree::of(&[
            ("docs/a.md", page),
            ("docs/b.md", ""),
            ("docs/img/c.png", ""),
            ("README.md", ""),
            ("presets/tiny.toml", ""),
        ]);
        let violations: Vec<_> = check(&tree)
            .into_iter()
            .map(|violation| (violation.line, violation.message))
            .collect();
        let gone: Vec<_> = violations
            .iter()
            .map(|(line, message)| (*line, message.split('"').nth(1).unwrap_or_default()))
            .collect();
        assert_eq!(gone, [(2, "gone.md"), (6, "../../x.md"), (8, "dead.toml")]);
    }
}
