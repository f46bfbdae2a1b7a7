//! Invariants of encoding and decoding, and errors for invalid vocabularies.

use std::sync::LazyLock;

use proptest::prelude::*;
use vlp_text::{TextError, WordPieceTokenizer};

static BERT: LazyLock<WordPieceTokenizer> = LazyLock::new(WordPieceTokenizer::bert_uncased);
static SCENES: LazyLock<WordPieceTokenizer> = LazyLock::new(WordPieceTokenizer::scenes);

const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn any_text_encodes_to_valid_tokens(text in "\\PC{0,60}|[a-z ]{0,80}|[\\x00-\\xff]{0,40}", max_len in 0usize..24) {
        for tokenizer in [&*BERT, &*SCENES] {
            let full = tokenizer.encode(&text, 4096);
            let encoding = tokenizer.encode(&text, max_len);
            let special = tokenizer.special_tokens();
            prop_assert_eq!(encoding.ids.len(), encoding.word_ids.len());
            prop_assert!(encoding.len() >= 2 && encoding.len() <= max_len.max(2));
            prop_assert_eq!(encoding.ids[0], special.cls);
            prop_assert_eq!(encoding.ids[encoding.len() - 1], special.sep);
            prop_assert!(encoding.ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
            prop_assert_eq!(encoding.truncated, full.len() > encoding.len());
            prop_assert_eq!(&encoding.ids[..encoding.len() - 1], &full.ids[..encoding.len() - 1]);
            let words: Vec<u32> = encoding.word_ids.iter().flatten().copied().collect();
            prop_assert!(words.first().is_none_or(|&w| w == 0));
            prop_assert!(words.windows(2).all(|w| w[1] == w[0] || w[1] == w[0] + 1));
            prop_assert_eq!(encoding.word_ranges().len(), words.last().map_or(0, |&w| w as usize + 1));
        }
    }

    #[test]
    fn lower_case_words_round_trip(words in prop::collection::vec("[a-z0-9]{1,12}", 0..8)) {
        let text = words.join(" ");
        for tokenizer in [&*BERT, &*SCENES] {
            prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text, 4096).ids), text.clone());
        }
    }

    #[test]
    fn continuation_tokens_share_the_word_id(words in prop::collection::vec("[a-z]{1,20}", 1..6)) {
        let encoding = BERT.encode(&words.join(" "), 4096);
        prop_assert_eq!(encoding.word_ranges().len(), words.len());
        for (range, word) in encoding.word_ranges().into_iter().zip(&words) {
            prop_assert_eq!(&BERT.decode(&encoding.ids[range]), word);
        }
    }
}

#[test]
fn special_tokens_in_text_have_no_word_id() {
    let encoding = SCENES.encode("a [MASK] circle", 16);
    assert_eq!(encoding.word_ids, [None, Some(0), None, Some(1), None]);
    assert_eq!(encoding.ids[2], 4);
    let encoding = SCENES.encode("\u{4e2d} circle", 16);
    assert_eq!(
        (encoding.ids[1], encoding.word_ids[1]),
        (1, Some(0)),
        "an unknown word is a word"
    );
}

#[test]
fn truncation_keeps_sep() {
    let encoding = BERT.encode("one two three four", 4);
    assert_eq!(encoding.ids, [101, 2028, 2048, 102]);
    assert!(encoding.truncated);
    assert_eq!(BERT.encode("one", 0).ids, [101, 102]);
    assert_eq!(BERT.encode("", 0), BERT.encode("  ", 9));
}

#[test]
fn invalid_vocabulary_errors_name_the_line() {
    let tokenizer_with =
        |more: &[&str]| WordPieceTokenizer::from_tokens(SPECIAL_TOKENS.iter().chain(more).copied());
    assert_eq!(
        tokenizer_with(&["dog"]).unwrap().encode("dog dogs", 9).ids,
        [2, 5, 1, 3]
    );
    assert!(matches!(
        tokenizer_with(&["dog", "cat", "dog"]),
        Err(TextError::DuplicateToken {
            line: 8,
            first_line: 6,
            ..
        })
    ));
    assert!(matches!(
        tokenizer_with(&["dog", ""]),
        Err(TextError::EmptyLine { line: 7, .. })
    ));
    let without_mask = WordPieceTokenizer::from_tokens(SPECIAL_TOKENS[..4].iter().copied());
    assert!(matches!(
        without_mask,
        Err(TextError::MissingSpecialToken {
            token: "[MASK]",
            ..
        })
    ));
    let error = WordPieceTokenizer::from_vocab_file("no/such/vocab.txt").unwrap_err();
    assert!(error.to_string().contains("no/such/vocab.txt"), "{error}");
}

#[test]
fn saved_tokens_restore_the_same_ids() {
    let restored = WordPieceTokenizer::from_tokens(BERT.tokens().iter().cloned()).unwrap();
    let text = "Caf\u{e9} d\u{e9}j\u{e0}-vu: unbelievably 42";
    assert_eq!(restored.encode(text, 40), BERT.encode(text, 40));
    assert_eq!(BERT.token_id("[MASK]"), Some(103));
}

#[test]
fn tokenizer_json_round_trips() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokenizer.json");
    for tokenizer in [
        WordPieceTokenizer::scenes(),
        WordPieceTokenizer::bert_uncased(),
    ] {
        let text = tokenizer.to_tokenizer_json().unwrap();
        assert_eq!(text, tokenizer.to_tokenizer_json().unwrap());
        std::fs::write(&file, &text).unwrap();
        let read = WordPieceTokenizer::from_tokenizer_json(&file).unwrap();
        // Some editors begin a file with a byte order mark.
        std::fs::write(&file, format!("\u{feff}{text}")).unwrap();
        let marked = WordPieceTokenizer::from_tokenizer_json(&file).unwrap();
        assert_eq!(marked.sha256(), read.sha256());
        assert_eq!(read.tokens(), tokenizer.tokens());
        let sentence = "A Red circle, unaffable & naïve.";
        assert_eq!(read.encode(sentence, 40), tokenizer.encode(sentence, 40));
    }
    let json = WordPieceTokenizer::scenes().to_tokenizer_json().unwrap();
    std::fs::write(
        &file,
        json.replace("\"lowercase\": true", "\"lowercase\": false"),
    )
    .unwrap();
    let error = WordPieceTokenizer::from_tokenizer_json(&file)
        .err()
        .unwrap();
    assert!(error.to_string().contains("uncased"), "{error}");
    std::fs::write(&file, "{}").unwrap();
    assert!(WordPieceTokenizer::from_tokenizer_json(&file).is_err());
}

#[test]
fn tokenizer_json_with_other_settings_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokenizer.json");
    let json = WordPieceTokenizer::scenes().to_tokenizer_json().unwrap();
    let added = r#""added_tokens": [
    {"id": 7, "content": "a", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},"#;
    for (setting, other, expected) in [
        (
            "\"continuing_subword_prefix\": \"##\"",
            "\"continuing_subword_prefix\": \"@@\"",
            "continuing_subword_prefix is \"@@\"",
        ),
        (
            "\"max_input_chars_per_word\": 100",
            "\"max_input_chars_per_word\": 9",
            "max_input_chars_per_word is 9, expected 100",
        ),
        (
            "\"handle_chinese_chars\": true",
            "\"handle_chinese_chars\": false",
            "split Chinese characters",
        ),
        ("\"added_tokens\": [", added, "the added token \"a\""),
    ] {
        assert!(json.contains(setting), "{setting}");
        std::fs::write(&file, json.replace(setting, other)).unwrap();
        let error = WordPieceTokenizer::from_tokenizer_json(&file).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn hashes_are_equal_for_equal_vocabularies_only() {
    let dir = tempfile::tempdir().unwrap();
    let (text, json) = (
        dir.path().join("vocab.txt"),
        dir.path().join("tokenizer.json"),
    );
    let tokenizer = WordPieceTokenizer::scenes();
    // The same tokens with a byte-order mark and the line ends of Windows, and as JSON.
    let lines = format!("\u{feff}{}\r\n", tokenizer.tokens().join("\r\n"));
    std::fs::write(&text, lines).unwrap();
    std::fs::write(&json, tokenizer.to_tokenizer_json().unwrap()).unwrap();
    let hash = tokenizer.sha256();
    assert_eq!(hash.len(), 64);
    let from_text = WordPieceTokenizer::from_vocab_file(&text).unwrap();
    let from_json = WordPieceTokenizer::from_tokenizer_json(&json).unwrap();
    assert_eq!(
        (from_text.sha256(), from_json.sha256()),
        (hash.clone(), hash)
    );
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let hash = |tokens: &[&str]| {
        let tokens = special.iter().chain(tokens).copied();
        WordPieceTokenizer::from_tokens(tokens).unwrap().sha256()
    };
    let lists: [&[&str]; 5] = [&["ab", "c"], &["c", "ab"], &["a", "bc"], &["abc"], &[]];
    let hashes: std::collections::BTreeSet<String> = lists.iter().map(|list| hash(list)).collect();
    assert_eq!(hashes.len(), lists.len());
}
