use std::sync::LazyLock;

use vlp_text::{TextError, WordPieceTokenizer};

use crate::input::{Mode, files};
use crate::must::{Must, accepted};
use crate::scratch::Scratch;

/// A text for BERT's vocabulary (`0`) or that of the scenes (`1`); a `vocab.txt` (`2`) or `tokenizer.json` (`3`) and a text
/// for it.
pub fn word_pieces(scratch: &Scratch, input: &[u8]) {
    static BERT: LazyLock<WordPieceTokenizer> = LazyLock::new(WordPieceTokenizer::bert_uncased);
    static SCENES: LazyLock<WordPieceTokenizer> = LazyLock::new(WordPieceTokenizer::scenes);
    let Some((mode, rest)) = Mode::split(input) else {
        return;
    };
    let [file, text] = files::<2>(rest);
    let read: Result<WordPieceTokenizer, TextError> = match mode.below(4) {
        0 => return check(&BERT, &String::from_utf8_lossy(rest)),
        1 => return check(&SCENES, &String::from_utf8_lossy(rest)),
        2 => WordPieceTokenizer::from_vocab_file(scratch.write("vocab.txt", file)),
        _ => WordPieceTokenizer::from_tokenizer_json(scratch.write("tokenizer.json", file)),
    };
    if let Some(tokenizer) = accepted(read) {
        let text = String::from_utf8_lossy(text);
        check(&tokenizer, &text);
        let json = tokenizer.to_tokenizer_json().must("a tokenizer as JSON");
        let file = scratch.write("tokenizer.json", json.as_bytes());
        let reread = WordPieceTokenizer::from_tokenizer_json(file).must("its own JSON");
        assert_eq!(reread.tokens(), tokenizer.tokens());
        assert_eq!(reread.sha256(), tokenizer.sha256());
        assert_eq!(reread.encode(&text, 64), tokenizer.encode(&text, 64));
    }
}

/// What holds of every text.
fn check(tokenizer: &WordPieceTokenizer, text: &str) {
    let special = tokenizer.special_tokens();
    let full = tokenizer.encode(text, usize::MAX);
    assert!(!full.truncated);
    // One of them for each text: encoding is most of the time of an input.
    let max_len = [0, 3, 16][text.len() % 3];
    let encoding = tokenizer.encode(text, max_len);
    let count = encoding.len();
    assert!(
        count >= 2 && count <= max_len.max(2),
        "{count} of {max_len}"
    );
    assert_eq!(encoding.word_ids.len(), count);
    assert_eq!(
        (encoding.ids[0], encoding.ids[count - 1]),
        (special.cls, special.sep)
    );
    assert_eq!(encoding.ids[..count - 1], full.ids[..count - 1]);
    assert_eq!(encoding.truncated, count < full.len());
    let size = tokenizer.vocab_size();
    assert!(full.ids.iter().all(|id| (*id as usize) < size));
    let words: Vec<u32> = encoding.word_ids.iter().flatten().copied().collect();
    assert!(words.first().is_none_or(|word| *word == 0), "{words:?}");
    assert!(
        words
            .windows(2)
            .all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + 1),
        "{words:?}"
    );
    let last = words.last().map_or(0, |word| *word as usize + 1);
    assert_eq!(encoding.word_ranges().len(), last);
    // Special tokens and unknown words are left out, so only texts without them stay.
    let decoded = tokenizer.decode(&full.ids);
    assert!(
        !decoded.starts_with(' ') && !decoded.ends_with(' '),
        "{decoded:?}"
    );
}
