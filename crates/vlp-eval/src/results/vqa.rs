//! VQA: `[{"question_id": int, "answer": str}]`, the file that EvalAI takes.

use std::path::Path;

use serde::Deserialize;

use super::answers::{Answers, Once};
use super::json::{read_array, read_list, write_array};
use super::{FileError, scored};
use crate::vqa::{VqaAccuracy, VqaAnnotation, VqaResult, vqa_accuracy};

const RECORD: &str = r#"[{"question_id": int, "answer": str}, ..]"#;

/// Writes one answer to a question, in the order given.
///
/// # Errors
/// [`FileError::Duplicate`] for a question answered twice, [`FileError::Write`].
pub fn write_vqa<'a>(
    file: impl AsRef<Path>,
    results: impl IntoIterator<Item = &'a VqaResult>,
) -> Result<(), FileError> {
    let (file, mut once) = (file.as_ref(), Once::new());
    write_array(file, results, |index, r| {
        once.take(file, "question", index, &r.question_id)
    })
}

/// Reads the answers to `questions`, each of which must have one; in the order of the file.
///
/// # Errors
/// [`FileError`] naming the record: one that is no answer, a question answered twice, not answered
/// or not known.
pub fn read_vqa(file: impl AsRef<Path>, questions: &[u64]) -> Result<Vec<VqaResult>, FileError> {
    let file = file.as_ref();
    let mut answers = Answers::new(file, "question", questions);
    let mut results = Vec::new();
    read_array(file, RECORD, |index, result: VqaResult| {
        answers.take(index, &result.question_id)?;
        results.push(result);
        Ok(())
    })?;
    answers.finish()?;
    Ok(results)
}

/// Ids of the questions of a `v2_OpenEnded_mscoco_*_questions.json`, for [`read_vqa`] where the
/// answers are not public (test-dev, test-std).
///
/// # Errors
/// [`FileError::Read`], [`FileError::BadRecord`].
pub fn vqa_questions(file: impl AsRef<Path>) -> Result<Vec<u64>, FileError> {
    #[derive(Deserialize)]
    struct Question {
        question_id: u64,
    }
    let mut ids = Vec::new();
    let expected = r#"{"questions": [{"question_id": int, ..}, ..]}"#;
    read_list(file.as_ref(), "questions", expected, |_, q: Question| {
        ids.push(q.question_id);
        Ok(())
    })?;
    Ok(ids)
}

/// Accuracy of a result file against a `v2_mscoco_*_annotations.json`, all of whose questions must
/// be answered.
///
/// # Errors
/// [`FileError`], as [`read_vqa`] and [`vqa_accuracy`].
pub fn vqa(
    results: impl AsRef<Path>,
    annotations: impl AsRef<Path>,
) -> Result<VqaAccuracy, FileError> {
    let (mut human, mut ids) = (Vec::new(), Vec::new());
    let expected = r#"{"annotations": [{"question_id", "question_type", "answer_type", "answers": [{"answer"}, ..]}, ..]}"#;
    let annotations = annotations.as_ref();
    read_list(
        annotations,
        "annotations",
        expected,
        |_, a: VqaAnnotation| {
            ids.push(a.question_id);
            human.push(a);
            Ok(())
        },
    )?;
    let results = results.as_ref();
    let answers = read_vqa(results, &ids)?;
    scored(results, vqa_accuracy(&human, &answers))
}
