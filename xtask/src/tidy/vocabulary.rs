//! Words that have a standard term in this field: the term is used, so that a search finds it.

use super::{Violation, tree::Tree};

/// A word that is not used, and the term for it.
struct Word {
    /// In lower case; found in identifiers as well, where it starts and ends a part of the name.
    word: &'static str,
    term: &'static str,
}

const fn word(word: &'static str, term: &'static str) -> Word {
    Word { word, term }
}

const WORDS: &[Word] = &[
    word("picture", "image"),
    word("pictures", "images"),
    word("trunk", "backbone"),
    word("colour", "color"),
    word("colours", "colors"),
    word("heldout", "validation"),
    word("slopes", "gradient, numeric_grad"),
    word("distractor", "negative_caption"),
    word("distractors", "negative_captions"),
    word("foreign", "negative"),
    word("beside", "next to, for each, with"),
    word("normalise", "normalize"),
    word("initialise", "initialize"),
    word("optimiser", "optimizer"),
    word("quantiser", "quantizer"),
    word("tokenise", "tokenize"),
    word("neighbour", "neighbor"),
    word("centre", "center"),
];

/// Statements that name a variable by how its value was obtained.
const LOCALS: [&str; 5] = ["found", "own", "kept", "known", "again"];

/// Files whose text is data of others: word lists, licenses, fixtures, tables of official tools.
const THIRD_PARTY: [&str; 9] = [
    "LICENSE",
    "Cargo.lock",
    "/fixtures/",
    "fuzz/corpus/",
    "/vocab/",
    "/ptb/",
    "vqa/contractions.rs",
    "tidy/vocabulary.rs",
    "scripts/metrics/",
];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in tree.texts("") {
        if THIRD_PARTY.iter().any(|part| path.contains(part)) {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            // The name of a random stream seeds it: another name is another stream.
            if line.contains("rng(") {
                continue;
            }
            for Word { term, word } in WORDS.iter().filter(|word| contains(line, word.word)) {
                let message = format!("{word:?} has a standard term here: {term}");
                violations.push(Violation::new(path, index + 1, message));
            }
            if path.ends_with(".rs")
                && let Some(name) = LOCALS.iter().find(|name| binds(line, name))
            {
                let message = format!(
                    "a variable called {name:?}; name what it is (scores, image_ids), not how its value was obtained"
                );
                violations.push(Violation::new(path, index + 1, message));
            }
        }
    }
    violations
}

/// Whether `word` is a word of the text or a whole part of an identifier: `a_word`, `AWord`.
fn contains(line: &str, word: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    lower.match_indices(word).any(|(index, _)| {
        let (before, after) = (
            line[..index].chars().next_back(),
            line[index + word.len()..].chars().next(),
        );
        let upper = line[index..].starts_with(|c: char| c.is_ascii_uppercase());
        let starts =
            before.is_none_or(|c| !c.is_ascii_alphabetic() || (upper && c.is_ascii_lowercase()));
        let ends = after.is_none_or(|c| !c.is_ascii_lowercase());
        starts && ends
    })
}

/// Whether the line binds a variable of this name alone: `let found =`.
fn binds(line: &str, name: &str) -> bool {
    ["let ", "let mut "].iter().any(|start| {
        let bound = line.trim_start().strip_prefix(start);
        let rest = bound.and_then(|rest| rest.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with([' ', ':']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_prose_and_in_identifiers() {
        for line in [
            "a Picture of it",
            "decode_picture(x)",
            "SamplePicture",
            "PICTURES",
            "(pictures)",
        ] {
            assert!(
                contains(line, "picture") || contains(line, "pictures"),
                "{line}"
            );
        }
        for line in ["picturesque", "epicture", "image"] {
            assert!(!contains(line, "picture"), "{line}");
        }
    }

    #[test]
    fn each_word_is_reported_with_its_line_and_data_of_others_is_not() {
        let tree = Tree::of(&[
            ("docs/a.md", "fine\nthe trunk\n"),
            (
                "src/a.rs",
                "    let found = 1;\n    let found_images = 2;\n",
            ),
            ("crates/x/vocab/words.txt", "colour\n"),
        ]);
        let lines: Vec<_> = check(&tree)
            .iter()
            .map(|v| (v.path.clone(), v.line))
            .collect();
        assert_eq!(
            lines,
            [("docs/a.md".to_owned(), 2), ("src/a.rs".to_owned(), 1)]
        );
    }
}
