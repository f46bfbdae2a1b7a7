//! The metrics of a run, as JSON lines and as TensorBoard event files.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use vlp_files::create_folder;

use crate::atomic_file::{read_file, write_atomic};
use crate::error::TrainError;
use crate::events::EventWriter;

/// A step with its metrics by name.
pub type LogRecord = (u64, Map<String, Value>);

/// Appends one record per step to `metrics.jsonl` and to an event file.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
    lines: File,
    events: EventWriter,
}

impl RunLog {
    /// Opens the log of a run that is at `step`. Records of later steps, written before the run was killed, are
    /// removed.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn open(folder: &Path, step: u64) -> Result<Self, TrainError> {
        create_folder(folder).map_err(TrainError::io(folder, "create the folder"))?;
        let path = folder.join("metrics.jsonl");
        if path.exists() {
            // Lines are copied verbatim: parsing and printing a number may change its last digit.
            let bytes = read_file(&path)?;
            let text: String = String::from_utf8_lossy(&bytes)
                .lines()
                .filter(|line| parse(line).is_some_and(|(line_step, _)| line_step <= step))
                .map(|line| format!("{line}\n"))
                .collect();
            write_atomic(&path, text.as_bytes())?;
        }
        let lines = OpenOptions::new().create(true).append(true).open(&path);
        Ok(Self {
            lines: lines.map_err(TrainError::io(&path, "open the log"))?,
            path,
            events: EventWriter::create(folder, step)?,
        })
    }

    /// Appends the metrics of one step. NaN and infinities are written as null.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn write(&mut self, step: u64, values: &[(String, f32)]) -> Result<(), TrainError> {
        let mut record = Map::new();
        record.insert("step".into(), step.into());
        for (name, value) in values {
            record.insert(
                name.clone(),
                serde_json::Number::from_f64(f64::from(*value)).map_or(Value::Null, Value::Number),
            );
        }
        let line = format!("{}\n", Value::Object(record));
        self.lines
            .write_all(line.as_bytes())
            .map_err(TrainError::io(&self.path, "append to the log"))?;
        self.events.write(step, values).map_err(TrainError::io(
            self.events.path(),
            "append to the event file",
        ))
    }

    /// Syncs the appended records to disk, so that they survive a power loss.
    ///
    /// # Errors
    /// [`TrainError::Io`].
    pub fn sync(&self) -> Result<(), TrainError> {
        self.lines
            .sync_data()
            .map_err(TrainError::io(&self.path, "flush the log to disk"))
    }
}

/// The record in a line; `None` if the line is incomplete.
fn parse(line: &str) -> Option<LogRecord> {
    let record: Map<String, Value> = serde_json::from_str(line).ok()?;
    Some((record.get("step")?.as_u64()?, record))
}

/// All records of a `metrics.jsonl`; an incomplete last line is skipped.
///
/// # Errors
/// [`TrainError::Io`].
pub fn read_records(path: &Path) -> Result<Vec<LogRecord>, TrainError> {
    let bytes = read_file(path)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().filter_map(parse).collect())
}
