//! Ids of `bert-base-uncased` from Hugging Face's fast tokenizer.

use vlp_text::WordPieceTokenizer;

#[derive(serde::Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
}

#[test]
fn ids_equal_hugging_face() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../data/bert_uncased.json")).unwrap();
    assert!(cases.len() >= 40);
    let tokenizer = WordPieceTokenizer::bert_uncased();
    for case in cases {
        let encoding = tokenizer.encode(&case.text, 512);
        assert_eq!(encoding.ids, case.ids, "{:?}", case.text);
        assert!(!encoding.truncated);
    }
}

#[test]
fn embedded_vocabularies_have_the_expected_special_ids() {
    let bert = WordPieceTokenizer::bert_uncased();
    assert_eq!(bert.vocab_size(), 30_522);
    let s = bert.special_tokens();
    assert_eq!(
        [s.pad, s.unk, s.cls, s.sep, s.mask],
        [0, 100, 101, 102, 103]
    );
    let s = WordPieceTokenizer::scenes().special_tokens();
    assert_eq!([s.pad, s.unk, s.cls, s.sep, s.mask], [0, 1, 2, 3, 4]);
}
