//! Results of finished runs, a line each, in a file next to the page: it outlives the folders of the runs.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::job::{Job, Kind, read_json};
use super::sizes::Sizes;
use crate::files::read_if_there;

/// What a finished run has come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// `VARIANT/SEED/RUN`, or that of an evaluation's file.
    pub(super) run: String,
    /// Arguments of `vlp`; they decide the run.
    pub(super) arguments: Vec<String>,
    /// Time of training; 0 of an evaluation.
    pub(super) seconds: f64,
    /// The device, its instruction set, and the machine.
    pub(super) device: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sizes: Option<Sizes>,
    /// The final validation metrics.
    pub(super) metrics: BTreeMap<String, f64>,
    /// Step and value of the metrics that are drawn.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) curves: BTreeMap<String, Vec<(u64, f64)>>,
}

impl Record {
    /// Reads the folder or the file of a finished job.
    pub(super) fn read(job: &Job, out: &Path, machine: &str) -> Result<Self, String> {
        let path = out.join(&job.path);
        let mut record = Self {
            run: key(&job.path),
            arguments: job.arguments.clone(),
            seconds: 0.0,
            device: machine.to_owned(),
            sizes: None,
            metrics: BTreeMap::new(),
            curves: BTreeMap::new(),
        };
        if let Kind::View(_) = job.kind {
            record.metrics = printed(&read_text(&path)?);
            return Ok(record);
        }
        let results = read_json(&path.join("results.json"))?;
        record.metrics = trained(&results);
        record.seconds = results["seconds"].as_f64().unwrap_or_default();
        let word = |key: &str| results[key].as_str().unwrap_or("unknown").to_owned();
        record.device = format!("{} ({}), {machine}", word("device"), word("simd"));
        let configuration = read_text(&path.join("config.toml"))?;
        record.sizes = Sizes::read(&configuration, job.kind == Kind::Pretrain);
        let log = read_text(&path.join("metrics.jsonl"))?;
        let curves = job.curves.iter();
        let curves = curves.map(|metric| (metric.clone(), points(&log, metric)));
        record.curves = curves.collect();
        Ok(record)
    }
}

/// The records of an ablation.
#[derive(Debug)]
pub(super) struct Records {
    file: PathBuf,
    by_run: BTreeMap<String, Record>,
}

impl Records {
    /// Reads `file`; there are none if it does not exist.
    pub(super) fn open(file: &Path) -> Result<Self, String> {
        Ok(Self {
            file: file.to_owned(),
            by_run: read_records(file)?,
        })
    }

    pub(super) fn get(&self, run: &Path) -> Option<&Record> {
        self.by_run.get(&key(run))
    }

    /// The record of a job.
    ///
    /// # Errors
    /// If its run had other settings.
    pub(super) fn of(&self, job: &Job) -> Result<Option<&Record>, String> {
        let Some(record) = self.get(&job.path) else {
            return Ok(None);
        };
        let theirs = record.arguments.iter().map(String::as_str);
        let checked = job.check_arguments(theirs);
        checked.map_err(|difference| {
            let (file, run) = (self.file.display(), &record.run);
            format!("{file}: {run} was run with other settings: {difference}; give another --page, or remove the line")
        })?;
        Ok(Some(record))
    }

    /// Adds a record to those of the file, which other processes write as well, and replaces the file: its lines are in the order
    /// of their runs.
    pub(super) fn add(&mut self, record: Record) -> Result<(), String> {
        let failed = |e: std::io::Error| format!("{}: {e}", self.file.display());
        let folder = self.file.parent().unwrap_or(Path::new(""));
        // The folder of a bare name is the working directory.
        let folder = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        // Until the end of this function. The folder is locked, since the file is replaced.
        let lock = File::open(folder).map_err(failed)?;
        lock.lock().map_err(failed)?;
        self.by_run = read_records(&self.file)?;
        self.by_run.insert(record.run.clone(), record);
        let mut text = String::new();
        for record in self.by_run.values() {
            text += &serde_json::to_string(record).map_err(|e| e.to_string())?;
            text.push('\n');
        }
        // A name of this process's own: a kill leaves the old file.
        let new = self
            .file
            .with_extension(format!("{}.new", std::process::id()));
        let mut options = OpenOptions::new();
        let file = options.create_new(true).write(true).open(&new);
        file.and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&new, &self.file))
        .map_err(failed)
    }
}

fn read_records(file: &Path) -> Result<BTreeMap<String, Record>, String> {
    let text = read_if_there(file)?.unwrap_or_default();
    let mut by_run = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let record: Record = serde_json::from_str(line)
            .map_err(|e| format!("{}: line {number}: {e}", file.display()))?;
        by_run.insert(record.run.clone(), record);
    }
    Ok(by_run)
}

fn key(run: &Path) -> String {
    run.to_string_lossy().into_owned()
}

fn read_text(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// The final metrics of `results.json`.
fn trained(results: &Value) -> BTreeMap<String, f64> {
    let rows = results["trained"].as_array().into_iter().flatten();
    rows.filter_map(|row| Some((row["name"].as_str()?.to_owned(), row["value"].as_f64()?)))
        .collect()
}

/// The metrics that `vlp evaluate` has printed.
fn printed(text: &str) -> BTreeMap<String, f64> {
    let rows = text.lines().filter_map(|line| line.split_once(' '));
    rows.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?)))
        .collect()
}

/// Steps and values of the lines of a log that have the metric.
fn points(text: &str, metric: &str) -> Vec<(u64, f64)> {
    let records = text.lines().filter_map(|line| {
        let record: Value = serde_json::from_str(line).ok()?;
        Some((record["step"].as_u64()?, record[metric].as_f64()?))
    });
    records.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn job(kind: Kind, path: &str) -> Job {
        Job {
            kind,
            label: path.into(),
            path: path.into(),
            arguments: vec!["pretrain".into(), "--seed".into(), "1".into()],
            steps: 4,
            curves: vec!["a".into()],
        }
    }

    #[test]
    fn printed_and_logged_metrics_are_read() {
        let text = "vqa/accuracy                           0.512\nvqa/accuracy_number                        -\n";
        assert_eq!(
            printed(text),
            BTreeMap::from([("vqa/accuracy".into(), 0.512)])
        );
        let log = "{\"step\":1,\"train/loss\":2.0}\n{\"a\":0.25,\"b\":0.75,\"step\":2}\n{\"a\":0.5,\"step\":3}\n{\"a\":0.";
        assert_eq!(points(log, "b"), [(2, 0.75)]);
        assert_eq!(points(log, "a"), [(2, 0.25), (3, 0.5)]);
    }

    #[test]
    fn a_finished_run_is_recorded_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("full/1/pretrain");
        fs::create_dir_all(&run).unwrap();
        let results = serde_json::json!({
            "trained": [{"name": "a", "value": 0.5}, {"name": "b", "value": null}],
            "step": 4, "seconds": 30.0, "device": "flex", "simd": "avx2",
        });
        fs::write(run.join("results.json"), results.to_string()).unwrap();
        fs::write(run.join("config.toml"), "").unwrap();
        fs::write(run.join("metrics.jsonl"), "{\"step\": 4, \"a\": 0.5}\n").unwrap();
        let file = folder.path().join("pages/page.jsonl");
        let mut records = Records::open(&file).unwrap();
        let pretraining = job(Kind::Pretrain, "full/1/pretrain");
        assert_eq!(records.of(&pretraining), Ok(None));
        let record = Record::read(&pretraining, folder.path(), "a CPU").unwrap();
        assert_eq!(record.device, "flex (avx2), a CPU");
        assert_eq!(record.curves["a"], [(4, 0.5)]);
        records.add(record.clone()).unwrap();
        let view = job(Kind::View("vqa".into()), "full/1/vqa.unseen.txt");
        fs::write(folder.path().join(&view.path), "a 0.25\n").unwrap();
        records
            .add(Record::read(&view, folder.path(), "a CPU").unwrap())
            .unwrap();
        let records = Records::open(&file).unwrap();
        assert_eq!(records.of(&pretraining), Ok(Some(&record)));
        assert_eq!(records.get(&view.path).unwrap().metrics["a"], 0.25);
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 2);
        let names = fs::read_dir(file.parent().unwrap()).unwrap();
        assert_eq!(names.count(), 1, "the new file was renamed");
        let mut other = pretraining.clone();
        other.arguments[2] = "2".into();
        let error = records.of(&other).unwrap_err();
        assert!(error.contains("1 there, 2 here"), "{error}");
        fs::write(&file, "{}\n").unwrap();
        let error = Records::open(&file).unwrap_err();
        assert!(
            error.contains("page.jsonl: line 1: missing field"),
            "{error}"
        );
    }

    #[test]
    fn lines_of_other_processes_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.jsonl");
        let record = |run: String| Record {
            run,
            arguments: vec![],
            seconds: 1.0,
            device: "a CPU".into(),
            sizes: None,
            metrics: BTreeMap::new(),
            curves: BTreeMap::new(),
        };
        // As two processes would: both read the file before the other one writes.
        let records = ["full", "neither"].map(|name| (name, Records::open(&file).unwrap()));
        std::thread::scope(|scope| {
            for (name, mut records) in records {
                scope.spawn(move || {
                    for seed in 1..=8 {
                        records.add(record(format!("{name}/{seed}/vqa"))).unwrap();
                    }
                });
            }
        });
        assert_eq!(Records::open(&file).unwrap().by_run.len(), 16);
    }
}
