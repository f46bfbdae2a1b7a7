//! Markdown has one sentence a line, so that a change of one sentence is a change of one line.

use super::{Violation, tree::Tree};

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.texts(".md") {
        for line in broken(text) {
            let message = "the sentence goes on in the next line; Markdown has one sentence a line";
            violations.push(Violation::new(path, line, message));
        }
    }
    violations
}

/// Lines, from 1, of prose whose sentence does not end there although prose follows.
fn broken(text: &str) -> Vec<usize> {
    let (mut broken, mut fenced) = (Vec::new(), false);
    let mut previous: Option<&str> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("```") || line.starts_with("~~~") {
            fenced = !fenced;
            previous = None;
            continue;
        }
        if fenced || !is_prose(line) {
            previous = None;
            continue;
        }
        if let Some(before) = previous.filter(|_| !starts_item(line))
            && !ends_sentence(before)
        {
            broken.push(index);
        }
        previous = Some(line);
    }
    broken
}

fn is_prose(line: &str) -> bool {
    !line.is_empty() && !line.starts_with(['#', '|', '<'])
}

/// The first line of a list item.
fn starts_item(line: &str) -> bool {
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with(['-', '*', '+']) || (digits.len() < line.len() && digits.starts_with(". "))
}

fn ends_sentence(line: &str) -> bool {
    let end = line.trim_end_matches([')', ']', '"', '\'', '`', '*', '_']);
    end.ends_with(['.', '!', '?', ':', ';'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_sentences_are_found_and_whole_ones_are_not() {
        let text = "# Title\n\nA sentence that\ngoes on. Another.\nA third one:\n\n- item\n- item that\n  goes on\n\n```\ncode\nmore\n```\n\
                    | a |\n| b |\nLast (see [x](y)).\nEnd.\n";
        assert_eq!(broken(text), [3, 8]);
    }
}
