use std::fmt::Debug;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use vlp_eval::coco_ap::Detection;
use vlp_eval::nlvr2::Nlvr2Label;
use vlp_eval::results::{
    CaptionResult, FileError, ImageSize, Selection, read_captions, read_detections, read_nlvr2,
    read_vqa, read_vqa_question_ids, score_captions, score_detections, score_nlvr2, score_vqa,
    write_captions, write_detections, write_nlvr2, write_vqa,
};
use vlp_eval::vqa::VqaResult;

use crate::input::{Mode, files};
use crate::must::{Must, accepted};
use crate::scratch::Scratch;

/// A result file and the annotations that it is scored against: VQA (`0`), captions (`1`), detections (`2`), NLVR2 (`3`); `4`
/// to `7` and `8` to `;` the same for what is in the results, and for some ids.
pub fn result_files(scratch: &Scratch, input: &[u8]) {
    let Some((mode, rest)) = Mode::split(input) else {
        return;
    };
    let parts = files::<2>(rest);
    let paths = [
        scratch.write("results.json", parts[0]),
        scratch.write("annotations.json", parts[1]),
    ];
    let mode = mode.below(12);
    let selection = match mode / 4 {
        0 => Selection::All,
        1 => Selection::InResults,
        _ => Selection::Ids(&[1, 2]),
    };
    match mode % 4 {
        0 => vqa(scratch, parts[0], &paths, &selection),
        1 => captions(scratch, parts[0], &paths, &selection),
        2 => detections(scratch, &paths, &selection),
        _ => nlvr2(scratch, parts[0], &paths, mode / 4),
    }
}

type Paths = [PathBuf; 2];

fn vqa(scratch: &Scratch, bytes: &[u8], [results, annotations]: &Paths, selection: &Selection<'_>) {
    if let Some(scores) = accepted(score_vqa(results, annotations, selection)) {
        let means = scores.scores.by_question_type.values();
        let means = means.chain(scores.scores.by_answer_type.values());
        means.chain([&scores.scores.overall]).for_each(check_rate);
    }
    let _ = accepted(read_vqa_question_ids(annotations));
    let id = |result: &VqaResult| result.question_id;
    check_ids(scratch, bytes, results, id, read_vqa, |path, list| {
        write_vqa(path, list)
    });
}

fn captions(
    scratch: &Scratch,
    bytes: &[u8],
    [results, annotations]: &Paths,
    selection: &Selection<'_>,
) {
    if let Some(scores) = accepted(score_captions(results, annotations, selection)) {
        let rates = scores.scores.bleu.iter().chain([&scores.scores.rouge_l]);
        rates.for_each(check_rate);
        check_rate(&(scores.scores.cider_d / 10.0));
    }
    let id = |result: &CaptionResult| result.image_id;
    check_ids(scratch, bytes, results, id, read_captions, |path, list| {
        write_captions(path, list)
    });
}

fn detections(scratch: &Scratch, [results, annotations]: &Paths, selection: &Selection<'_>) {
    if let Some(scores) = accepted(score_detections(results, annotations, selection)) {
        scores.scores.stats().iter().flatten().for_each(check_rate);
    }
    let images = [1, 2, 3].map(|id| ImageSize {
        id,
        width: 640,
        height: 480,
    });
    if let Some(list) = accepted(read_detections(results, &images)) {
        let path = scratch.path("rewritten.json");
        write_detections(&path, &list).must("detections that were read");
        let reread: Vec<Detection> =
            read_detections(&path, &images).must("detections that were written");
        assert_eq!(reread, list);
    }
}

fn nlvr2(scratch: &Scratch, bytes: &[u8], [results, annotations]: &Paths, selection: u8) {
    let ids = ["dev-0-0-0".to_owned(), "dev-0-0-1".to_owned()];
    let selection = match selection {
        0 => Selection::All,
        1 => Selection::InResults,
        _ => Selection::Ids(&ids[..]),
    };
    if let Some(scores) = accepted(score_nlvr2(results, annotations, &selection)) {
        check_rate(&scores.scores.accuracy);
        check_rate(&scores.scores.consistency);
    }
    let text = String::from_utf8_lossy(bytes);
    let mut ids: Vec<String> = text
        .lines()
        .filter_map(|line| Some(line.split_once(',')?.0.to_owned()))
        .collect();
    ids.sort();
    ids.dedup();
    if let Some(list) = accepted(read_nlvr2(results, &ids)) {
        let path = scratch.path("rewritten.csv");
        if accepted(write_nlvr2(&path, &list)).is_some() {
            let reread: Vec<Nlvr2Label> = read_nlvr2(&path, &ids).must("labels that were written");
            assert_eq!(reread, list);
        }
    }
}

/// The reader gives what serde gives of the whole file, and the same after it was written.
fn check_ids<T: DeserializeOwned + Debug + PartialEq>(
    scratch: &Scratch,
    bytes: &[u8],
    path: &Path,
    id: impl Fn(&T) -> u64,
    read: impl Fn(PathBuf, &[u64]) -> Result<Vec<T>, FileError>,
    write: impl Fn(&Path, &[T]) -> Result<(), FileError>,
) {
    // The reader accepts more: NaN, UTF-16, a byte order mark.
    let Ok(list) = serde_json::from_slice::<Vec<T>>(bytes) else {
        let _ = accepted(read(path.to_owned(), &[1, 2]));
        return;
    };
    let ids: Vec<u64> = list.iter().map(id).collect();
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let Some(records) = accepted(read(path.to_owned(), &ids)) else {
        assert!(distinct.len() < ids.len(), "refused: {list:?}");
        return;
    };
    assert_eq!(records, list);
    let rewritten = scratch.path("rewritten.json");
    write(&rewritten, &records).must("records that were read");
    let reread = read(rewritten, &ids).must("records that were written");
    assert_eq!(reread, records);
}

fn check_rate(rate: &f64) {
    // The official tool's smoothing lets BLEU exceed 1 by up to this.
    assert!((0.0..=1.0 + 1e-8).contains(rate), "{rate}");
}
