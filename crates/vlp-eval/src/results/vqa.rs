//! VQA: `[{"question_id": int, "answer": str}]`, the format of EvalAI.

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;

use super::error::{FileError, with_file};
use super::ids::{ExpectedIds, UniqueIds};
use super::json::{read_array, read_list, write_array};
use super::selection::{FileScores, Selection};
use crate::vqa::{VqaAccuracy, VqaAnnotation, VqaResult, vqa_accuracy};

const EXPECTED: &str = r#"[{"question_id": int, "answer": str}, ..]"#;

/// Writes one answer per question, in the order of `results`.
///
/// # Errors
/// [`FileError::Duplicate`] for a question answered twice, [`FileError::Write`].
pub fn write_vqa<'a>(
    file: impl AsRef<Path>,
    results: impl IntoIterator<Item = &'a VqaResult>,
) -> Result<(), FileError> {
    let (file, mut ids) = (file.as_ref(), UniqueIds::new());
    write_array(file, results, |index, r| {
        ids.insert(file, "question", index, &r.question_id)
    })
}

/// Reads the answers in the order of the file; there must be one for each of `questions` and no others.
///
/// # Errors
/// [`FileError`] naming the record: an invalid answer, or a question that is repeated, missing or unknown.
pub fn read_vqa(file: impl AsRef<Path>, questions: &[u64]) -> Result<Vec<VqaResult>, FileError> {
    let file = file.as_ref();
    read_expected_answers(file, ExpectedIds::new(file, "question", questions))
}

fn read_expected_answers(
    file: &Path,
    mut expected_ids: ExpectedIds<'_, u64>,
) -> Result<Vec<VqaResult>, FileError> {
    let mut results = Vec::new();
    read_array(file, EXPECTED, |index, result: VqaResult| {
        expected_ids.insert(index, &result.question_id)?;
        results.push(result);
        Ok(())
    })?;
    expected_ids.finish()?;
    Ok(results)
}

/// Reads the question ids of a `v2_OpenEnded_mscoco_*_questions.json`, for [`read_vqa`] if the
/// answers are not public (test-dev, test-std).
///
/// # Errors
/// [`FileError::Read`], [`FileError::BadRecord`].
pub fn read_vqa_question_ids(file: impl AsRef<Path>) -> Result<Vec<u64>, FileError> {
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

/// Accuracy of a result file against a `v2_mscoco_*_annotations.json`.
///
/// # Errors
/// [`FileError`], see [`read_vqa`] and [`vqa_accuracy`]; two annotations of one question.
pub fn score_vqa(
    results: impl AsRef<Path>,
    annotations: impl AsRef<Path>,
    selection: &Selection<'_>,
) -> Result<FileScores<VqaAccuracy>, FileError> {
    let (mut human_answers, mut question_ids) = (Vec::new(), Vec::new());
    let expected = r#"{"annotations": [{"question_id", "question_type", "answer_type", "answers": [{"answer"}, ..]}, ..]}"#;
    let (annotations, mut unique_ids) = (annotations.as_ref(), UniqueIds::new());
    read_list(
        annotations,
        "annotations",
        expected,
        |index, annotation: VqaAnnotation| {
            unique_ids.insert(annotations, "question", index, &annotation.question_id)?;
            question_ids.push(annotation.question_id);
            human_answers.push(annotation);
            Ok(())
        },
    )?;
    let results = results.as_ref();
    let expected_ids = ExpectedIds::select(results, "question", &question_ids, selection);
    let answers = read_expected_answers(results, expected_ids)?;
    let answered: HashSet<u64> = answers.iter().map(|answer| answer.question_id).collect();
    human_answers.retain(|annotation| answered.contains(&annotation.question_id));
    let accuracy = with_file(results, vqa_accuracy(&human_answers, &answers))?;
    Ok(FileScores::new(accuracy, answers.len(), question_ids.len()))
}
