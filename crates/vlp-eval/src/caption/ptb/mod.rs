//! Penn Treebank tokenizer for English captions, equal to that of the COCO caption tool.
//!
//! That tool runs the tokenizer of Stanford CoreNLP 3.4.1 line by line, lower-cases the tokens and
//! drops most punctuation. This module gives the same tokens without Java: clitics are split
//! (`dog 's`, `do n't`, `gon na`), abbreviations keep their period, brackets become `-lrb-` and so
//! on, and `1 1/2` or a phone number is one token with a no-break space (U+00A0).
//!
//! Known difference: letters that are newer than Unicode 6 and combining marks of rare scripts may be split
//! differently.

mod abbreviations;
mod rules;
mod spelling;

use rules::longest_match;

/// Dropped tokens. The official list has brackets in upper case
/// (`-LRB-`), so the lower-cased ones are not dropped.
const DROPPED: [&str; 13] = [
    "''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";",
];

/// Splits a caption into lower-case tokens without punctuation.
///
/// Line breaks are treated as spaces. Characters without a rule, such as emoji, are skipped.
///
/// ```
/// let tokens = vlp_eval::caption::ptb::tokenize("The dog's ball (red) -- can't roll.");
/// assert_eq!(tokens, ["the", "dog", "'s", "ball", "-lrb-", "red", "-rrb-", "ca", "n't", "roll"]);
/// ```
#[must_use]
pub fn tokenize(caption: &str) -> Vec<String> {
    // Some rules match the white space after a token, such as the end of the line.
    tokenize_all([caption, ""]).swap_remove(0)
}

/// Splits captions, one list of tokens each, as the official tool does with a file of captions.
///
/// The difference to [`tokenize`] is small: rules can match the start of the next caption,
/// so `sign K.` gives `k.` before `a dog` but `k` before `A dog`, and there is no end of line after
/// the last caption. Official scores need this function.
#[must_use]
pub fn tokenize_all<'a>(captions: impl IntoIterator<Item = &'a str>) -> Vec<Vec<String>> {
    let mut text = String::new();
    let mut ends = Vec::new();
    for caption in captions {
        if !ends.is_empty() {
            text.push('\n');
        }
        text.extend(caption.chars().map(|c| if c == '\n' { ' ' } else { c }));
        ends.push(text.len());
    }
    let mut offset = 0;
    let tokens_until = |end: usize| {
        let mut tokens: Vec<String> = Vec::new();
        while offset < end {
            let (token, next_offset) = next_token(&text, offset);
            tokens.extend(token);
            offset = next_offset;
        }
        // The official tool strips the line, which may end in an address with a thin space.
        if let Some(last) = tokens.last_mut() {
            last.truncate(last.trim_end().len());
        }
        tokens
    };
    ends.into_iter().map(tokens_until).collect()
}

/// The token at `offset`, `None` if it is dropped, and the offset after it.
fn next_token(text: &str, offset: usize) -> (Option<String>, usize) {
    let Some((rule, end)) = longest_match(text, offset) else {
        let skipped = text[offset..].chars().next();
        return (None, offset + skipped.map_or(1, char::len_utf8));
    };
    let end = offset + rule.token_length(&text[offset..end]);
    let token = spelling::spell(rule.spelling, &text[offset..end]).to_lowercase();
    let is_dropped = token.is_empty() || DROPPED.contains(&token.as_str());
    ((!is_dropped).then_some(token), end)
}
