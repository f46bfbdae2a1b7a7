//! Ids of texts in the vocabulary of bert-base-uncased.

use vlp_text::WordPieceTokenizer;

use super::Op;
use crate::case::Values;

pub(crate) fn tokenizer(op: &mut Op<'_>) -> Result<(), String> {
    let tokenizer = WordPieceTokenizer::bert_uncased();
    let cases = op.attributes["cases"].as_array().ok_or("no texts")?;
    for (i, case) in cases.iter().enumerate() {
        let text = case["text"].as_str().ok_or("a case without text")?;
        let want = case["ids"].as_array().ok_or("a text without ids")?;
        let values = |values: Vec<f64>| Values {
            shape: vec![values.len()],
            values,
        };
        let want = values(want.iter().filter_map(serde_json::Value::as_f64).collect());
        let ids = tokenizer.encode(text, usize::MAX).ids;
        let got = values(ids.into_iter().map(f64::from).collect());
        op.report.equal(&format!("ids.{i}"), &got, &want);
    }
    Ok(())
}
