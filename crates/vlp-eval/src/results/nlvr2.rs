//! NLVR2: lines `identifier,prediction` without a heading, as the official `metrics.py` reads them.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use serde::Deserialize;

use super::answers::{Answers, Once};
use super::json::write;
use super::{FileError, scored};
use crate::nlvr2::{Nlvr2Label, Nlvr2Scores, nlvr2 as score};

/// Writes one prediction a line, in the order given: `dev-850-0-1,True`.
///
/// # Errors
/// [`FileError::Duplicate`]; [`FileError::BadLine`] for an identifier with a comma or a line break;
/// [`FileError::Write`].
pub fn write_nlvr2<'a>(
    file: impl AsRef<Path>,
    predictions: impl IntoIterator<Item = &'a Nlvr2Label>,
) -> Result<(), FileError> {
    let (file, mut once) = (file.as_ref(), Once::new());
    write(file, |to, fail| {
        for (index, Nlvr2Label { identifier, label }) in predictions.into_iter().enumerate() {
            if identifier.contains([',', '\n', '\r']) || identifier.trim() != identifier {
                let expected = "an identifier such as dev-850-0-1";
                return Err(bad(file, index + 1, identifier, expected));
            }
            once.take(file, "identifier", index, identifier)?;
            let label = if *label { "True" } else { "False" };
            writeln!(to, "{identifier},{label}").map_err(fail)?;
        }
        Ok(())
    })
}

/// Reads the predictions for `identifiers`, each of which must have one; in the order of the file.
/// `true` and `TRUE` are read as `True`.
///
/// The official script takes whatever is not the label for wrong, and skips what it does not know:
/// here a misspelt prediction, a second one and an unknown identifier are errors.
///
/// # Errors
/// [`FileError`] naming the line (from 1) or the record (from 0).
pub fn read_nlvr2(
    file: impl AsRef<Path>,
    identifiers: &[String],
) -> Result<Vec<Nlvr2Label>, FileError> {
    let file = file.as_ref();
    let mut answers = Answers::new(file, "identifier", identifiers);
    let mut predictions = Vec::new();
    lines(file, |number, line| {
        let expected = "identifier,True or identifier,False";
        let (identifier, label) = line
            .split_once(',')
            .and_then(|(identifier, label)| Some((identifier, truth(label)?)))
            .ok_or_else(|| bad(file, number, line, expected))?;
        let identifier = identifier.to_owned();
        answers.take(predictions.len(), &identifier)?;
        predictions.push(Nlvr2Label { identifier, label });
        Ok(())
    })?;
    answers.finish()?;
    Ok(predictions)
}

/// Accuracy and consistency of a prediction file against a `dev.json` or `test1.json` (JSON lines).
///
/// # Errors
/// [`FileError`], as [`read_nlvr2`] and [`crate::nlvr2::nlvr2`].
pub fn nlvr2(
    predictions: impl AsRef<Path>,
    annotations: impl AsRef<Path>,
) -> Result<Nlvr2Scores, FileError> {
    #[derive(Deserialize)]
    struct Example {
        identifier: String,
        label: String,
    }
    let (annotations, mut labels) = (annotations.as_ref(), Vec::new());
    lines(annotations, |number, line| {
        let expected = r#"{"identifier": str, "label": "True" or "False", ..}"#;
        let example: Option<Example> = serde_json::from_str(line).ok();
        let label = example.and_then(|e| {
            Some(Nlvr2Label {
                label: truth(&e.label)?,
                identifier: e.identifier,
            })
        });
        labels.push(label.ok_or_else(|| bad(annotations, number, line, expected))?);
        Ok(())
    })?;
    let ids: Vec<String> = labels.iter().map(|l| l.identifier.clone()).collect();
    let file = predictions.as_ref();
    let predictions = read_nlvr2(file, &ids)?;
    scored(file, score(&labels, &predictions))
}

fn truth(word: &str) -> Option<bool> {
    match word.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn bad(file: &Path, line: usize, text: &str, expected: &'static str) -> FileError {
    FileError::BadLine {
        file: file.to_owned(),
        line,
        text: text.chars().take(120).collect(),
        expected,
    }
}

/// Hands every line that is not blank to `each`, with its number from 1.
fn lines(
    file: &Path,
    mut each: impl FnMut(usize, &str) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let fail = |source| FileError::Read {
        file: file.to_owned(),
        source,
    };
    let from = BufReader::new(File::open(file).map_err(fail)?);
    for (index, line) in from.lines().enumerate() {
        let line = line.map_err(fail)?;
        if !line.trim().is_empty() {
            each(index + 1, line.trim())?;
        }
    }
    Ok(())
}
