//! Invariants of encoding and decoding, and the vocabulary reader's errors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::LazyLock;

use proptest::prelude::*;
use vlp_text::{TextError, WordPieces};

static BERT: LazyLock<WordPieces> = LazyLock::new(WordPieces::bert_uncased);
static SCENES: LazyLock<WordPieces> = LazyLock::new(WordPieces::scenes);

const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_text_is_well_formed(text in "\\PC{0,60}|[a-z ]{0,80}|[\\x00-\\xff]{0,40}", max_len in 0usize..24) {
        for pieces in [&*BERT, &*SCENES] {
            let whole = pieces.encode(&text, 4096);
            let got = pieces.encode(&text, max_len);
            let special = pieces.special();
            prop_assert_eq!(got.ids.len(), got.word_of.len());
            prop_assert!(got.len() >= 2 && got.len() <= max_len.max(2));
            prop_assert_eq!(got.ids[0], special.cls);
            prop_assert_eq!(got.ids[got.len() - 1], special.sep);
            prop_assert!(got.ids.iter().all(|&id| (id as usize) < pieces.vocab_size()));
            prop_assert_eq!(got.truncated, whole.len() > got.len());
            prop_assert_eq!(&got.ids[..got.len() - 1], &whole.ids[..got.len() - 1]);
            let words: Vec<u32> = got.word_of.iter().flatten().copied().collect();
            prop_assert!(words.first().is_none_or(|&w| w == 0));
            prop_assert!(words.windows(2).all(|w| w[1] == w[0] || w[1] == w[0] + 1));
            prop_assert_eq!(got.words().len(), words.last().map_or(0, |&w| w as usize + 1));
        }
    }

    #[test]
    fn lower_case_words_survive_a_round_trip(words in prop::collection::vec("[a-z0-9]{1,12}", 0..8)) {
        let text = words.join(" ");
        for pieces in [&*BERT, &*SCENES] {
            prop_assert_eq!(pieces.decode(&pieces.encode(&text, 4096).ids), text.clone());
        }
    }

    #[test]
    fn continuations_share_their_words_number(words in prop::collection::vec("[a-z]{1,20}", 1..6)) {
        let got = BERT.encode(&words.join(" "), 4096);
        prop_assert_eq!(got.words().len(), words.len());
        for (range, word) in got.words().into_iter().zip(&words) {
            prop_assert_eq!(&BERT.decode(&got.ids[range]), word);
        }
    }
}

#[test]
fn special_pieces_in_a_text_have_no_word() {
    let got = SCENES.encode("a [MASK] circle", 16);
    assert_eq!(got.word_of, [None, Some(0), None, Some(1), None]);
    assert_eq!(got.ids[2], 4);
    let got = SCENES.encode("\u{4e2d} circle", 16);
    assert_eq!(
        (got.ids[1], got.word_of[1]),
        (1, Some(0)),
        "an unknown word is a word"
    );
}

#[test]
fn truncation_keeps_sep() {
    let got = BERT.encode("one two three four", 4);
    assert_eq!(got.ids, [101, 2028, 2048, 102]);
    assert!(got.truncated);
    assert_eq!(BERT.encode("one", 0).ids, [101, 102]);
    assert_eq!(BERT.encode("", 0), BERT.encode("  ", 9));
}

#[test]
fn broken_vocabularies_are_refused_by_line() {
    let with = |more: &[&str]| WordPieces::from_words(SPECIAL.iter().chain(more).copied());
    assert_eq!(
        with(&["dog"]).unwrap().encode("dog dogs", 9).ids,
        [2, 5, 1, 3]
    );
    assert!(matches!(
        with(&["dog", "cat", "dog"]),
        Err(TextError::Repeated {
            line: 8,
            first: 6,
            ..
        })
    ));
    assert!(matches!(
        with(&["dog", ""]),
        Err(TextError::Empty { line: 7, .. })
    ));
    let some = WordPieces::from_words(SPECIAL[..4].iter().copied());
    assert!(matches!(
        some,
        Err(TextError::MissingSpecial {
            piece: "[MASK]",
            ..
        })
    ));
    let missing = WordPieces::from_vocab_file("no/such/vocab.txt").unwrap_err();
    assert!(
        missing.to_string().contains("no/such/vocab.txt"),
        "{missing}"
    );
}

#[test]
fn a_stored_vocabulary_gives_the_same_ids() {
    let again = WordPieces::from_words(BERT.pieces().iter().cloned()).unwrap();
    let text = "Caf\u{e9} d\u{e9}j\u{e0}-vu: unbelievably 42";
    assert_eq!(again.encode(text, 40), BERT.encode(text, 40));
    assert_eq!(BERT.id("[MASK]"), Some(103));
}

#[test]
fn a_tokenizer_file_holds_the_same_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokenizer.json");
    for pieces in [WordPieces::scenes(), WordPieces::bert_uncased()] {
        let text = pieces.to_tokenizer_json().unwrap();
        assert_eq!(text, pieces.to_tokenizer_json().unwrap());
        std::fs::write(&file, text).unwrap();
        let read = WordPieces::from_tokenizer_json(&file).unwrap();
        assert_eq!(read.pieces(), pieces.pieces());
        let sentence = "A Red circle, unaffable & naïve.";
        assert_eq!(read.encode(sentence, 40), pieces.encode(sentence, 40));
    }
    let cased = WordPieces::scenes().to_tokenizer_json().unwrap();
    std::fs::write(
        &file,
        cased.replace("\"lowercase\": true", "\"lowercase\": false"),
    )
    .unwrap();
    let error = WordPieces::from_tokenizer_json(&file).err().unwrap();
    assert!(error.to_string().contains("uncased"), "{error}");
    std::fs::write(&file, "{}").unwrap();
    assert!(WordPieces::from_tokenizer_json(&file).is_err());
}
