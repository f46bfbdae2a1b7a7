//! Ids of texts in the vocabulary of bert-base-uncased.

use vlp_text::WordPieces;

use super::Op;
use crate::case::Values;

pub(crate) fn word_pieces(op: &mut Op<'_>) -> Result<(), String> {
    let pieces = WordPieces::bert_uncased();
    let cases = op.attributes["cases"].as_array().ok_or("no texts")?;
    for (i, case) in cases.iter().enumerate() {
        let text = case["text"].as_str().ok_or("a case without text")?;
        let want = case["ids"].as_array().ok_or("a text without ids")?;
        let values = |at: Vec<f64>| Values {
            shape: vec![at.len()],
            at,
        };
        let want = values(want.iter().filter_map(serde_json::Value::as_f64).collect());
        let ids = pieces.encode(text, usize::MAX).ids;
        let got = values(ids.into_iter().map(f64::from).collect());
        op.report.equal(&format!("ids.{i}"), &got, &want);
    }
    Ok(())
}
