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

/// `AutoTokenizer.from_pretrained("bert-base-uncased").decode(ids, skip_special_tokens=True)`, with the default
/// `clean_up_tokenization_spaces` of that model.
#[test]
fn decoded_texts_have_the_spaces_of_hugging_face() {
    let tokenizer = WordPieceTokenizer::bert_uncased();
    for (text, decoded) in [
        ("A dog's ball.", "a dog's ball."),
        ("Don't! I'm here, aren't we?", "don't! i'm here, aren't we?"),
        ("They've said: we're done.", "they've said : we're done."),
        ("the dogs' ball", "the dogs'ball"),
        ("'s", "' s"),
        ("a red car (small)", "a red car ( small )"),
        ("3.5 x 2,000", "3. 5 x 2, 000"),
        ("wait...", "wait..."),
        ("say \"hi\"", "say \" hi \""),
        ("do not", "do not"),
        ("unaffable 'melons", "unaffable'melons"),
        (".", "."),
        ("", ""),
    ] {
        assert_eq!(
            tokenizer.decode(&tokenizer.encode(text, 64).ids),
            decoded,
            "{text:?}"
        );
    }
}
