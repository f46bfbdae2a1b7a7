//! Result files and annotations with byte order marks and Windows line ends.

use std::fmt::Debug;
use std::path::Path;

use crate::common::{detections, error_text, instances, write};
use serde_json::{Value, json};
use tempfile::TempDir;
use vlp_eval::results::{
    FileError, Selection, read_vqa_question_ids, score_captions, score_detections, score_nlvr2,
    score_vqa,
};

/// The text as other editors save it: with a byte order mark and Windows line ends, and as UTF-16.
fn encodings(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let windows = text.replace('\n', "\r\n");
    let utf_16: Vec<u16> = format!("\u{feff}{windows}").encode_utf16().collect();
    vec![
        ("plain", text.into()),
        ("CRLF", windows.clone().into()),
        ("mark", format!("\u{feff}{text}").into()),
        ("mark and CRLF", format!("\u{feff}{windows}").into()),
        (
            "UTF-16 LE",
            utf_16.iter().flat_map(|u| u.to_le_bytes()).collect(),
        ),
        (
            "UTF-16 BE",
            utf_16.iter().flat_map(|u| u.to_be_bytes()).collect(),
        ),
    ]
}

#[test]
fn byte_order_mark_and_line_ends_have_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    /// Scores every encoding of a result file against every encoding of its annotations.
    fn check<S: PartialEq + Debug>(
        folder: &TempDir,
        [results, annotations]: [&str; 2],
        score: impl Fn(&Path, &Path) -> Result<S, FileError>,
    ) {
        let mut expected = None;
        for (result_encoding, results) in encodings(results) {
            for (annotation_encoding, annotations) in encodings(annotations) {
                let results = write(folder, "results", &results);
                let annotations = write(folder, "annotations", &annotations);
                let scores = score(&results, &annotations);
                let scores = scores
                    .unwrap_or_else(|e| panic!("{result_encoding}, {annotation_encoding}: {e}"));
                assert_eq!(
                    expected.get_or_insert_with(|| score(&results, &annotations).unwrap()),
                    &scores
                );
            }
        }
    }
    let captions = json!([{"image_id": 2, "caption": "ein Café\nam Markt"}]);
    let references = json!({"annotations": [{"image_id": 2, "caption": "Café am Markt"}]});
    check(
        &folder,
        [&pretty(&captions), &pretty(&references)],
        |r, a| score_captions(r, a, &Selection::All),
    );
    let answers = json!([{"question_id": 4, "answer": "red"}]);
    let questions = json!({"questions": [{"question_id": 4}], "annotations": [{
        "question_id": 4, "question_type": "what", "answer_type": "other", "answers": ["red", "red", "blue"],
    }]});
    check(&folder, [&pretty(&answers), &pretty(&questions)], |r, a| {
        assert_eq!(read_vqa_question_ids(a)?, [4]);
        score_vqa(r, a, &Selection::All)
    });
    check(
        &folder,
        [&pretty(&json!(detections())), &pretty(&instances())],
        |r, a| Ok(score_detections(r, a, &Selection::All)?.scores),
    );
    let labels = "{\"identifier\": \"dev-3-0-0\", \"label\": \"True\"}\n{\"identifier\": \"dev-3-1-0\", \"label\": \"False\"}\n";
    check(
        &folder,
        ["dev-3-0-0,True\ndev-3-1-0,True\n", labels],
        |r, a| score_nlvr2(r, a, &Selection::All),
    );
    // `cat` of two files with marks.
    let joined = write(
        &folder,
        "joined.csv",
        "\u{feff}dev-3-0-0,True\r\n\u{feff}dev-3-1-0,False\r\n",
    );
    let labels = write(&folder, "dev.json", labels);
    let scores = score_nlvr2(joined, labels, &Selection::All).unwrap();
    assert_eq!(scores.scores.accuracy, 1.0);
    let cut = write(&folder, "cut.json", [0xFF, 0xFE, b'[', 0, b']']);
    assert!(error_text(read_vqa_question_ids(cut)).contains("cut.json: invalid UTF-16"));
    let empty = write(&folder, "empty.json", "\u{feff}");
    assert!(error_text(read_vqa_question_ids(empty)).contains("EOF"));
}
