//! The metrics of a run: JSON lines for programs, event files for TensorBoard.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::TrainError;
use crate::events::EventWriter;
use crate::files::{read, replace};

/// Appends one record a step to `metrics.jsonl` and to an event file.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
    lines: File,
    events: EventWriter,
}

impl RunLog {
    /// Opens the log of a run that goes on after `step`; records of later steps (of a killed run) go.
    pub fn open(folder: &Path, step: u64) -> Result<Self, TrainError> {
        fs::create_dir_all(folder).map_err(TrainError::io(folder, "create the folder"))?;
        let path = folder.join("metrics.jsonl");
        if path.exists() {
            // Lines stay as they are: numbers read and written again may differ in the last digit.
            let bytes = read(&path)?;
            let text: String = String::from_utf8_lossy(&bytes)
                .lines()
                .filter(|line| parse(line).is_some_and(|(at, _)| at <= step))
                .map(|line| format!("{line}\n"))
                .collect();
            replace(&path, text.as_bytes())?;
        }
        let lines = OpenOptions::new().create(true).append(true).open(&path);
        Ok(Self {
            lines: lines.map_err(TrainError::io(&path, "open the log"))?,
            path,
            events: EventWriter::create(folder, step)?,
        })
    }

    /// Appends scalars of one step. NaN and infinities are written as null.
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
        self.events
            .write(step, values)
            .map_err(TrainError::io(&self.path, "append to the event file"))
    }
}

/// Step and values of a line, if it is whole.
fn parse(line: &str) -> Option<(u64, Map<String, Value>)> {
    let record: Map<String, Value> = serde_json::from_str(line).ok()?;
    Some((record.get("step")?.as_u64()?, record))
}

/// A step with its scalars by name.
pub type Record = (u64, Map<String, Value>);

/// All records of a `metrics.jsonl` as (step, record); a torn last line is left out.
pub fn read_all(path: &Path) -> Result<Vec<Record>, TrainError> {
    let bytes = read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().filter_map(parse).collect())
}
