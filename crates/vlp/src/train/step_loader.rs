//! The data of a step, and the decisions that all processes base on it.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vlp_data::{DataError, LoadedBatch, Loader, SkippedBudget, SkippedRecord};

use crate::config::RunConfig;
use crate::data::Datasets;
use crate::error::VlpError;
use crate::processes::Processes;

/// Loads the micro-batches of one process.
pub(super) struct StepLoader {
    loader: Loader,
    micro_batches: Range<usize>,
    budget: SkippedBudget,
}

/// The data of a step.
pub(super) struct StepData {
    /// The micro-batches of this process.
    pub(super) batches: Vec<LoadedBatch>,
    /// Skipped samples of all processes.
    pub(super) skipped: Vec<SkippedRecord>,
    /// Number of samples of all processes, without the skipped ones.
    pub(super) samples: usize,
}

/// Summary of what a process has loaded for a step.
#[derive(Serialize, Deserialize)]
struct Loaded {
    /// Whether a signal has asked it to stop.
    stop: bool,
    /// Number of samples and skipped samples of each micro-batch.
    batches: Vec<(u64, Vec<SkippedRecord>)>,
}

impl StepLoader {
    /// Loads from `first_step` on.
    pub(super) fn start(
        data: &Datasets,
        config: &RunConfig,
        first_step: u64,
        micro_batches: Range<usize>,
    ) -> Result<Self, VlpError> {
        Ok(Self {
            loader: data.loader(config, first_step, micro_batches.clone())?,
            micro_batches,
            budget: data.skipped_budget(config)?,
        })
    }

    /// The data of the next step; `None` if a process is asked to stop.
    ///
    /// # Errors
    /// Those of the loaders of all processes, and [`DataError::TooManySkipped`] by the samples of all.
    pub(super) fn next(&mut self, processes: &Processes) -> Result<Option<StepData>, VlpError> {
        let stop = processes.stop_requested();
        let load = |_| self.loader.next();
        let batches: Result<Vec<LoadedBatch>, DataError> = match stop {
            true => Ok(vec![]),
            false => self.micro_batches.clone().map(load).collect(),
        };
        let batches = batches.map_err(VlpError::from);
        let tell = |batches: &Vec<LoadedBatch>| Ok(Loaded::new(stop, batches));
        let (batches, loaded) = processes.gather_about(batches, tell)?;
        if loaded.iter().any(|loaded| loaded.stop) {
            return Ok(None);
        }
        let mut data = StepData {
            batches,
            skipped: vec![],
            samples: 0,
        };
        for (requested, skipped) in loaded.into_iter().flat_map(|loaded| loaded.batches) {
            let count = skipped.len() as u64;
            let recorded = self.budget.record(requested, count, skipped.last());
            recorded.map_err(too_many_skipped)?;
            data.samples += (requested - count) as usize;
            data.skipped.extend(skipped);
        }
        Ok(Some(data))
    }

    /// Time that this process has waited for its data.
    pub(super) fn wait_time(&self) -> Duration {
        self.loader.wait_time()
    }
}

/// The error with the key of the allowed fraction.
fn too_many_skipped(error: DataError) -> VlpError {
    match error {
        error @ DataError::TooManySkipped { .. } => VlpError::Config(format!(
            "data.max_bad_fraction: {error}; mend the data, or start a new run with a larger fraction and another --out"
        )),
        error => error.into(),
    }
}

impl Loaded {
    fn new(stop: bool, batches: &[LoadedBatch]) -> Self {
        let batches = batches.iter().map(|batch| {
            let requested = batch.examples.len() + batch.skipped.len();
            (requested as u64, batch.skipped.clone())
        });
        Self {
            stop,
            batches: batches.collect(),
        }
    }
}
