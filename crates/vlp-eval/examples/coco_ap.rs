//! Scores a JSON file of `{"images": [id], "annotations": [..], "detections": [..]}` with COCO's
//! field names and prints the twelve metrics (-1 if undefined) and the run time, as JSON.

use std::error::Error;
use std::time::Instant;

use serde::Deserialize;
use vlp_eval::coco_ap::{Detection, GroundTruth, evaluate};

#[derive(Deserialize)]
struct Input {
    images: Vec<u64>,
    annotations: Vec<GroundTruth>,
    detections: Vec<Detection>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: coco_ap FILE.json")?;
    let input: Input = serde_json::from_slice(&std::fs::read(path)?)?;
    let start = Instant::now();
    let summary = evaluate(&input.images, &input.annotations, &input.detections)?;
    let seconds = start.elapsed().as_secs_f64();
    let stats = summary.stats().map(|n| n.unwrap_or(-1.0));
    let report = serde_json::json!({ "stats": stats, "seconds": seconds });
    serde_json::to_writer(std::io::stdout().lock(), &report)?;
    Ok(())
}
