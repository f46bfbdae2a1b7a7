//! Normalization of VQA answers, including the quirks of the official tool.

use super::contractions::CONTRACTIONS;

/// Punctuation that is deleted or replaced by a space, in the order of the official tool.
/// Colon and apostrophe are not included.
const PUNCTUATION: [char; 21] = [
    ';', '/', '[', ']', '"', '{', '}', '(', ')', '=', '+', '\\', '_', '-', '>', '<', '@', '`', ',',
    '?', '!',
];

/// The official tool passes the value of a flag, 32, as the maximum number of substitutions.
const MAX_PERIODS: usize = 32;

/// Replaces line breaks and tabs by spaces and trims the answer.
pub(super) fn clean(answer: &str) -> String {
    answer.replace(['\n', '\t'], " ").trim().to_owned()
}

/// Normalizes an answer as the official VQA tool does before it compares answers.
///
/// A punctuation character is deleted if one of its occurrences is next to a space or if the answer contains a comma
/// between digits; otherwise it becomes a space. A period is deleted unless a digit follows. Then the answer is
/// lower-cased, `none` and `zero` to `ten` become digits, articles are removed, and contractions get their
/// apostrophe (`dont` becomes `don't`).
///
/// ```
/// use vlp_eval::vqa::normalize;
/// assert_eq!(normalize("The Two dogs."), "2 dogs");
/// assert_eq!(normalize("dont-know, maybe"), "don't know maybe");
/// ```
#[must_use]
pub fn normalize(answer: &str) -> String {
    let words = without_periods(&without_punctuation(answer)).to_lowercase();
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

/// The neighbors of a character are those in the original answer, not in the result of earlier replacements.
fn without_punctuation(answer: &str) -> String {
    let bytes = answer.as_bytes();
    let is_comma_in_number =
        |w: &[u8]| w[0].is_ascii_digit() && w[1] == b',' && w[2].is_ascii_digit();
    let has_comma_in_number = bytes.windows(3).any(is_comma_in_number);
    let mut out = answer.to_owned();
    for punctuation in PUNCTUATION {
        if !answer.contains(punctuation) {
            continue;
        }
        let is_next_to_space = answer.contains(&format!("{punctuation} "))
            || answer.contains(&format!(" {punctuation}"));
        out = out.replace(
            punctuation,
            if is_next_to_space || has_comma_in_number {
                ""
            } else {
                " "
            },
        );
    }
    out
}

fn without_periods(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut deleted = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_kept = c != '.' || rest.peek().is_some_and(char::is_ascii_digit);
        if is_kept || deleted == MAX_PERIODS {
            out.push(c);
        } else {
            deleted += 1;
        }
    }
    out
}
