//! The common form of VQA answers, quirks of the official tool included.

use super::contractions::CONTRACTIONS;

/// Marks that are deleted or become spaces, in the order the official tool goes through them.
/// Colon and apostrophe are not among them.
const MARKS: [char; 21] = [
    ';', '/', '[', ']', '"', '{', '}', '(', ')', '=', '+', '\\', '_', '-', '>', '<', '@', '`', ',',
    '?', '!',
];

/// The official tool hands a flag to its substitution where a count belongs.
const MOST_PERIODS: usize = 32;

/// Line breaks and tabs become spaces; spaces at the ends go.
pub(super) fn clean(answer: &str) -> String {
    answer.replace(['\n', '\t'], " ").trim().to_owned()
}

/// Brings an answer to the form in which the official VQA tool compares answers.
///
/// A mark is deleted where it touches a space or the answer holds a comma between digits, and
/// becomes a space otherwise. Periods go unless a digit follows. Then: lower case, `none` and
/// `zero` to `ten` as digits, no articles, and apostrophes put into contractions (`dont`).
///
/// ```
/// use vlp_eval::vqa::normalize;
/// assert_eq!(normalize("The Two dogs."), "2 dogs");
/// assert_eq!(normalize("dont-know, maybe"), "don't know maybe");
/// ```
#[must_use]
pub fn normalize(answer: &str) -> String {
    let words = without_periods(&without_marks(answer)).to_lowercase();
    let words: Vec<&str> = words
        .split_whitespace()
        .map(|word| {
            NUMBERS
                .iter()
                .find(|(name, _)| *name == word)
                .map_or(word, |n| n.1)
        })
        .filter(|word| !["a", "an", "the"].contains(word))
        .map(|word| CONTRACTIONS.get(word).map_or(word, String::as_str))
        .collect();
    words.join(" ")
}

const NUMBERS: [(&str, &str); 12] = [
    ("none", "0"),
    ("zero", "0"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
];

/// What a mark touches is judged on the answer as given, not on what earlier marks left of it.
fn without_marks(answer: &str) -> String {
    let bytes = answer.as_bytes();
    let between_digits = |w: &[u8]| w[0].is_ascii_digit() && w[1] == b',' && w[2].is_ascii_digit();
    let thousands = bytes.windows(3).any(between_digits);
    let mut out = answer.to_owned();
    for mark in MARKS {
        if !answer.contains(mark) {
            continue;
        }
        let by_space = answer.contains(&format!("{mark} ")) || answer.contains(&format!(" {mark}"));
        out = out.replace(mark, if by_space || thousands { "" } else { " " });
    }
    out
}

fn without_periods(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut deleted = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let kept = c != '.' || rest.peek().is_some_and(char::is_ascii_digit);
        if kept || deleted == MOST_PERIODS {
            out.push(c);
        } else {
            deleted += 1;
        }
    }
    out
}
