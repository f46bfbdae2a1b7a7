//! Penn Treebank tokens of English captions, as the COCO caption tool takes them.
//!
//! That tool runs the tokeniser of Stanford CoreNLP 3.4.1 line by line, lower-cases the tokens and
//! drops most punctuation. This module yields the same tokens without Java: clitics are split
//! (`dog 's`, `do n't`, `gon na`), abbreviations keep their period, brackets become `-lrb-` and so
//! on, and `1 1/2` or a phone number stays one token around a no-break space (U+00A0).
//!
//! Known difference: letters beyond those of Unicode 6 and rare scripts' marks may be split
//! otherwise.

mod abbreviations;
mod rules;
mod spelling;

use rules::longest_match;

/// Tokens that do not count in captions. The official list names brackets in capitals
/// (`-LRB-`), so the lower-cased ones stay.
const DROPPED: [&str; 13] = [
    "''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";",
];

/// Splits a caption into lower-case tokens without punctuation.
///
/// Line breaks count as spaces. Characters the tokeniser does not know, such as emoji, are skipped.
///
/// ```
/// let tokens = vlp_eval::caption::ptb::tokenize("The dog's ball (red) -- can't roll.");
/// assert_eq!(tokens, ["the", "dog", "'s", "ball", "-lrb-", "red", "-rrb-", "ca", "n't", "roll"]);
/// ```
#[must_use]
pub fn tokenize(caption: &str) -> Vec<String> {
    // Some rules look at the white space behind a token: the end of the line is such.
    tokenize_all([caption, ""]).swap_remove(0)
}

/// Splits captions, one list of tokens each, as the official tool does with a file of captions.
///
/// The difference to [`tokenize`] is small: that tool's rules see the start of the next caption,
/// so that `sign K.` gives `k.` before `a dog` but `k` before `A dog`, and no end of line behind
/// the last caption. Scores are equal to the official ones only with this.
#[must_use]
pub fn tokenize_all<'a>(captions: impl IntoIterator<Item = &'a str>) -> Vec<Vec<String>> {
    tokenize_ticking(captions, &mut || ())
}

/// As [`tokenize_all`], with a call of `tick` after each caption.
pub(super) fn tokenize_ticking<'a>(
    captions: impl IntoIterator<Item = &'a str>,
    tick: &mut dyn FnMut(),
) -> Vec<Vec<String>> {
    let mut text = String::new();
    let mut ends = Vec::new();
    for caption in captions {
        if !ends.is_empty() {
            text.push('\n');
        }
        text.extend(caption.chars().map(|c| if c == '\n' { ' ' } else { c }));
        ends.push(text.len());
    }
    let mut at = 0;
    let tokens_to = |end: usize| {
        let mut tokens: Vec<String> = Vec::new();
        while at < end {
            let (token, next) = next_token(&text, at);
            tokens.extend(token);
            at = next;
        }
        // The official tool strips the line, which may end in an address that holds a thin space.
        if let Some(last) = tokens.last_mut() {
            last.truncate(last.trim_end().len());
        }
        tick();
        tokens
    };
    ends.into_iter().map(tokens_to).collect()
}

/// The token at `at`, if one that counts starts there, and where to go on.
fn next_token(text: &str, at: usize) -> (Option<String>, usize) {
    let Some((rule, end)) = longest_match(text, at) else {
        return (
            None,
            at + text[at..].chars().next().map_or(1, char::len_utf8),
        );
    };
    let end = at + rule.token_length(&text[at..end]);
    let token = spelling::spell(rule.spelling, &text[at..end]).to_lowercase();
    let counts = !token.is_empty() && !DROPPED.contains(&token.as_str());
    (counts.then_some(token), end)
}
