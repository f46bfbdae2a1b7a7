//! NLVR2: lines `identifier,prediction` without a header, the format of the official `metrics.py`.

use std::collections::HashSet;
use std::io::{BufRead, Write};
use std::path::Path;

use serde::Deserialize;

use super::error::{FileError, with_file};
use super::ids::{ExpectedIds, UniqueIds};
use super::json::write;
use super::selection::{FileScores, Selection};
use super::text_file::open_text;
use crate::nlvr2::{Nlvr2Label, Nlvr2Scores, nlvr2};

/// Writes one prediction per line, such as `dev-850-0-1,True`, in the order of `predictions`.
///
/// # Errors
/// [`FileError::Duplicate`]; [`FileError::BadLine`] for an identifier with a comma or a line break;
/// [`FileError::Write`].
pub fn write_nlvr2<'a>(
    file: impl AsRef<Path>,
    predictions: impl IntoIterator<Item = &'a Nlvr2Label>,
) -> Result<(), FileError> {
    let (file, mut ids) = (file.as_ref(), UniqueIds::new());
    write(file, |writer, fail| {
        for (index, Nlvr2Label { identifier, label }) in predictions.into_iter().enumerate() {
            if identifier.contains([',', '\n', '\r']) || identifier.trim() != identifier {
                let expected = "an identifier such as dev-850-0-1";
                return Err(bad_line(file, index + 1, identifier, expected));
            }
            ids.insert(file, "identifier", index, identifier)?;
            let label = if *label { "True" } else { "False" };
            writeln!(writer, "{identifier},{label}").map_err(fail)?;
        }
        Ok(())
    })
}

/// Reads the predictions in the order of the file; there must be one for each of `identifiers` and no others.
/// Labels are case-insensitive.
///
/// The official script counts any text but the label as wrong and skips unknown identifiers.
/// Here misspelled predictions, repeated and unknown identifiers are errors.
///
/// # Errors
/// [`FileError`] naming the line (from 1) or the record (from 0).
pub fn read_nlvr2(
    file: impl AsRef<Path>,
    identifiers: &[String],
) -> Result<Vec<Nlvr2Label>, FileError> {
    let file = file.as_ref();
    read_expected_labels(file, ExpectedIds::new(file, "identifier", identifiers))
}

fn read_expected_labels(
    file: &Path,
    mut expected_ids: ExpectedIds<'_, String>,
) -> Result<Vec<Nlvr2Label>, FileError> {
    let mut predictions = Vec::new();
    for_each_line(file, |number, line| {
        let expected = "identifier,True or identifier,False";
        let (identifier, label) = line
            .split_once(',')
            .and_then(|(identifier, label)| Some((identifier, parse_label(label)?)))
            .ok_or_else(|| bad_line(file, number, line, expected))?;
        let identifier = identifier.to_owned();
        expected_ids.insert(predictions.len(), &identifier)?;
        predictions.push(Nlvr2Label { identifier, label });
        Ok(())
    })?;
    expected_ids.finish()?;
    Ok(predictions)
}

/// Accuracy and consistency of a prediction file against a `dev.json` or `test1.json` (JSON Lines).
///
/// # Errors
/// [`FileError`], see [`read_nlvr2`] and [`crate::nlvr2::nlvr2`]; two annotations of one identifier.
pub fn score_nlvr2(
    predictions: impl AsRef<Path>,
    annotations: impl AsRef<Path>,
    selection: &Selection<'_, String>,
) -> Result<FileScores<Nlvr2Scores>, FileError> {
    #[derive(Deserialize)]
    struct Example {
        identifier: String,
        label: String,
    }
    let (annotations, mut labels) = (annotations.as_ref(), Vec::new());
    let mut unique_ids = UniqueIds::new();
    for_each_line(annotations, |number, line| {
        let expected = r#"{"identifier": str, "label": "True" or "False", ..}"#;
        let example: Option<Example> = serde_json::from_str(line).ok();
        let label = example.and_then(|e| {
            Some(Nlvr2Label {
                label: parse_label(&e.label)?,
                identifier: e.identifier,
            })
        });
        let label = label.ok_or_else(|| bad_line(annotations, number, line, expected))?;
        unique_ids.insert(annotations, "identifier", labels.len(), &label.identifier)?;
        labels.push(label);
        Ok(())
    })?;
    let identifiers: Vec<String> = labels.iter().map(|l| l.identifier.clone()).collect();
    let file = predictions.as_ref();
    let expected_ids = ExpectedIds::select(file, "identifier", &identifiers, selection);
    let predictions = read_expected_labels(file, expected_ids)?;
    let predicted = predictions.iter().map(|p| p.identifier.as_str());
    let predicted: HashSet<&str> = predicted.collect();
    labels.retain(|label| predicted.contains(label.identifier.as_str()));
    let scores = with_file(file, nlvr2(&labels, &predictions))?;
    Ok(FileScores::new(
        scores,
        predictions.len(),
        identifiers.len(),
    ))
}

fn parse_label(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn bad_line(file: &Path, line: usize, text: &str, expected: &'static str) -> FileError {
    FileError::BadLine {
        file: file.to_owned(),
        line,
        text: text.chars().take(120).collect(),
        expected,
    }
}

/// Calls `each` with every line that is not blank and its number, from 1.
fn for_each_line(
    file: &Path,
    mut each: impl FnMut(usize, &str) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let fail = |source| FileError::Read {
        file: file.to_owned(),
        source,
    };
    for (index, line) in open_text(file)?.lines().enumerate() {
        let line = line.map_err(fail)?;
        // Files joined by `cat` have byte order marks inside.
        let line = line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if !line.is_empty() {
            each(index + 1, line)?;
        }
    }
    Ok(())
}
