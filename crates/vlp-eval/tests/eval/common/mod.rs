//! Small files for the tests of result files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    dead_code
)]

use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use vlp_eval::coco_ap::CocoSummary;
use vlp_eval::results::FileError;

pub fn write(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

pub fn assert_stats(summary: &CocoSummary, expected: [f64; 12]) {
    for (k, (value, expected)) in summary.stats().iter().zip(expected).enumerate() {
        let value = value.unwrap_or(-1.0);
        assert!((value - expected).abs() < 1e-6, "{k}: {value} {expected}");
    }
}

pub fn error_text<T: Debug>(result: Result<T, FileError>) -> String {
    result.unwrap_err().to_string()
}

/// An annotation of a box, whose area is that of the box.
pub fn object(image: u64, category: u32, bbox: [f64; 4]) -> Value {
    json!({"image_id": image, "category_id": category, "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": 0})
}

pub fn detection(image: u64, category: u32, bbox: [f64; 4], score: f64) -> Value {
    json!({"image_id": image, "category_id": category, "bbox": bbox, "score": score})
}

/// Three images and the categories 4 and 9; objects of category 12 and of image 77, which are not listed.
pub fn instances() -> Value {
    let image = |id: u64| json!({"id": id, "width": 300, "height": 200, "file_name": "x.png"});
    json!({
        "images": [image(3), image(5), image(8)],
        "categories": [{"id": 4, "name": "a"}, {"id": 9, "name": "b"}],
        "annotations": [
            object(3, 4, [10.0, 10.0, 40.0, 40.0]),
            object(3, 9, [100.0, 20.0, 60.0, 50.0]),
            object(5, 4, [0.0, 0.0, 120.0, 110.0]),
            object(5, 12, [150.0, 50.0, 40.0, 40.0]),
            object(8, 9, [20.0, 30.0, 30.0, 30.0]),
            object(77, 4, [5.0, 5.0, 50.0, 50.0]),
        ],
    })
}

pub fn detections() -> Vec<Value> {
    vec![
        detection(3, 4, [12.0, 11.0, 40.0, 40.0], 0.9),
        detection(3, 9, [100.0, 25.0, 60.0, 50.0], 0.8),
        detection(5, 4, [200.0, 100.0, 30.0, 30.0], 0.95),
        detection(5, 4, [0.0, 5.0, 120.0, 100.0], 0.6),
        detection(5, 12, [150.0, 50.0, 40.0, 40.0], 0.7),
        detection(8, 9, [25.0, 30.0, 30.0, 30.0], 0.3),
    ]
}
