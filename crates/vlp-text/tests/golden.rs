//! Ids of `bert-base-uncased` as Hugging Face's fast tokenizer gives them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use vlp_text::WordPieces;

#[derive(serde::Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
}

#[test]
fn ids_equal_the_reference() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("data/bert_uncased.json")).unwrap();
    assert!(cases.len() >= 40);
    let pieces = WordPieces::bert_uncased();
    for case in cases {
        let got = pieces.encode(&case.text, 512);
        assert_eq!(got.ids, case.ids, "{:?}", case.text);
        assert!(!got.truncated);
    }
}

#[test]
fn shipped_vocabularies() {
    let bert = WordPieces::bert_uncased();
    assert_eq!(bert.vocab_size(), 30_522);
    let s = bert.special();
    assert_eq!(
        [s.pad, s.unk, s.cls, s.sep, s.mask],
        [0, 100, 101, 102, 103]
    );
    let s = WordPieces::scenes().special();
    assert_eq!([s.pad, s.unk, s.cls, s.sep, s.mask], [0, 1, 2, 3, 4]);
}
