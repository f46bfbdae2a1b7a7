use std::path::Path;

use vlp_data::read::{
    CocoFiles, GenericOptions, GenomeFiles, KarpathySplit, SnliVeText, VqaFiles, cache, coco,
    generic, karpathy, nlvr2, snli_ve, visual_genome, vqa,
};
use vlp_data::{AnswerVocabulary, DataError, FileSource};

use crate::input::{Mode, files};
use crate::limits::limits;
use crate::must::{Must, accepted};
use crate::scratch::Scratch;
use crate::source::{Origin, check, check_equal};

/// Annotation files: COCO's captions with (`0`) or without (`1`) its objects, questions of VQA with (`2`) or without (`3`)
/// answers, one of Karpathy's files (`4`), Visual Genome (`5`), a list of plain records (`6`), the answers of VQA (`7`).
pub fn json_readers(scratch: &Scratch, input: &[u8]) {
    let Some((mode, rest)) = Mode::split(input) else {
        return;
    };
    let names = ["1.json", "2.json", "3.json", "4.json", "5.txt", "6.txt"];
    let parts = files::<6>(rest);
    let write = |index: usize| scratch.write(names[index], parts[index]);
    let images = scratch.images();
    let limits = limits();
    let reader = mode.below(8);
    let source = match reader {
        0 | 1 => {
            let files = CocoFiles {
                captions: write(0),
                instances: (reader == 0).then(|| write(1)),
                images: vec![images],
            };
            coco(&files, &limits)
        }
        2 | 3 => {
            let files = VqaFiles {
                questions: vec![write(0)],
                annotations: (reader == 2).then(|| write(1)).into_iter().collect(),
                images: vec![images],
            };
            vqa(&files, &limits)
        }
        4 => karpathy(write(0), images, &KarpathySplit::TRAINING, &limits),
        5 => {
            let has = |index: usize| !parts[index].is_empty();
            let files = GenomeFiles {
                image_data: write(0),
                regions: write(1),
                images,
                objects: has(2).then(|| (write(2), write(4))),
                attributes: has(3).then(|| (write(3), write(5))),
            };
            visual_genome(&files, Some(0.9), &limits)
        }
        6 => generic(write(0), options(scratch)),
        _ => return check_answers(scratch, &write(0)),
    };
    check_source(scratch, source, mode);
}

/// A vocabulary is the same after it was written.
fn check_answers(scratch: &Scratch, file: &Path) {
    let Some(answers) = accepted(AnswerVocabulary::read(file)) else {
        return;
    };
    let path = scratch.path("rewritten.json");
    answers.write(&path).must("answers that were read");
    let reread = AnswerVocabulary::read(&path).must("answers that were written");
    assert_eq!(reread, answers);
}

/// JSON lines: plain records (`0`), NLVR2 (`1`), SNLI-VE without (`2`) or with (`3`) the premise.
pub fn json_lines(scratch: &Scratch, input: &[u8]) {
    let Some((mode, bytes)) = Mode::split(input) else {
        return;
    };
    let file = scratch.write("lines.jsonl", bytes);
    let images = scratch.images();
    let limits = limits();
    let source = match mode.below(4) {
        0 => generic(file, options(scratch)),
        1 => nlvr2(file, images, &limits),
        2 => snli_ve(file, images, SnliVeText::Hypothesis, &limits),
        _ => snli_ve(file, images, SnliVeText::PremiseAndHypothesis, &limits),
    };
    check_source(scratch, source, mode);
}

fn options(scratch: &Scratch) -> GenericOptions {
    GenericOptions::default()
        .with_images(Some(scratch.images()))
        .with_limits(limits())
}

/// What a reader accepts is a source; with the flag, its index is written and read again.
fn check_source(scratch: &Scratch, source: Result<FileSource, DataError>, mode: Mode) {
    let Some(source) = accepted(source) else {
        return;
    };
    let _ = source.report().to_string();
    check(&source, Origin::Reader);
    if !mode.flag() {
        return;
    }
    let path = scratch.path("source.index");
    let _ = std::fs::remove_file(&path);
    let written = cache::open_or_build(&path, &[], "", || Ok(source));
    let written = written.must("an index that is written").source;
    let unread = || Err(DataError::Worker("not the index that was written".into()));
    let reread = cache::open_or_build(&path, &[], "", unread).must("an index that was written");
    assert_eq!(reread.state, cache::CacheState::Hit);
    assert_eq!(reread.source.report(), written.report());
    check_equal(&written, &reread.source);
}
