//! Files that training writes to the run folder.

use vlp_train::{CheckpointScore, CheckpointWriter, RunLog, TrainState};

use crate::error::VlpError;
use crate::run::{Results, RunFolder};

/// The open files of a run, in the first process.
pub(super) struct RunFiles {
    folder: RunFolder,
    checkpoints: CheckpointWriter,
    log: RunLog,
}

impl RunFiles {
    /// Opens the files of a run that is at `step` and keeps `keep` checkpoints.
    pub(super) fn open(folder: &RunFolder, keep: usize, step: u64) -> Result<Self, VlpError> {
        let checkpoints = CheckpointWriter::open(folder.checkpoints(), keep)?;
        if step > 0 {
            // The process that saved this step may have been killed before it removed older ones.
            checkpoints.prune(step)?;
        }
        Ok(Self {
            folder: folder.clone(),
            checkpoints,
            log: RunLog::open(&folder.path, step)?,
        })
    }

    pub(super) fn log(&mut self, step: u64, record: &[(String, f32)]) -> Result<(), VlpError> {
        Ok(self.log.write(step, record)?)
    }

    pub(super) fn save(
        &self,
        state: &TrainState,
        files: &[(&'static str, Vec<u8>)],
        score: Option<&CheckpointScore>,
    ) -> Result<(), VlpError> {
        // A resumed run has the lines up to its checkpoint, even after a power loss.
        self.log.sync()?;
        self.checkpoints.save(state, files, score)?;
        Ok(())
    }

    pub(super) fn write_results(&self, results: &Results) -> Result<(), VlpError> {
        self.folder.write_json(&self.folder.results(), results)
    }
}
