//! Scores a JSON file of `[{"hypothesis": "..", "references": [".."]}]` and prints scores, tokens
//! and the run time of CIDEr-D, as JSON. Used by `scripts/metrics/captions_val2017.py`.

use std::error::Error;
use std::time::Instant;

use serde::Deserialize;
use vlp_eval::caption::{CaptionPair, caption_scores, cider, tokenize_pairs};

/// Number of runs, of which the fastest is reported.
const RUNS: usize = 5;

#[derive(Deserialize)]
struct Record {
    hypothesis: String,
    references: Vec<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("usage: score_captions FILE.json")?;
    let records: Vec<Record> = serde_json::from_slice(&std::fs::read(path)?)?;
    let pairs: Vec<CaptionPair<'_>> = records
        .iter()
        .map(|r| CaptionPair {
            hypothesis: &r.hypothesis,
            references: &r.references,
        })
        .collect();
    let scores = caption_scores(&pairs)?;
    let tokens = tokenize_pairs(&pairs);
    let mut cider_seconds = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        cider::cider_d(&tokens)?;
        cider_seconds = cider_seconds.min(start.elapsed().as_secs_f64());
    }
    let join = |tokens: &Vec<String>| tokens.join(" ");
    let references: Vec<Vec<String>> = tokens
        .iter()
        .map(|p| p.references.iter().map(join).collect())
        .collect();
    let report = serde_json::json!({
        "scores": scores,
        "hypotheses": tokens.iter().map(|p| join(&p.hypothesis)).collect::<Vec<_>>(),
        "references": references,
        "cider_seconds": cider_seconds,
    });
    serde_json::to_writer(std::io::stdout().lock(), &report)?;
    Ok(())
}
