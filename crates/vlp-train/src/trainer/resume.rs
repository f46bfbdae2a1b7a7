//! Files and state of a checkpoint.

use burn::module::Module;
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::Bytes;

use super::Trainer;
use crate::checkpoint::{Checkpoint, TrainState};
use crate::ema::Ema;
use crate::error::TrainError;
use crate::optimizer::MomentDtype;
use crate::serialize::{module_bytes, optimizer_bytes};

/// File of the weights in a checkpoint.
pub const MODEL_FILE: &str = "model.bpk";
/// File of the optimizer's state in a checkpoint.
pub const OPTIMIZER_FILE: &str = "optimizer.bpk";
/// File of the moving average of the weights in a checkpoint.
pub const EMA_FILE: &str = "ema.bpk";

/// Loads saved weights into a module of the same architecture.
///
/// # Errors
/// If `bytes` is not a record, or lacks a parameter of the module.
pub fn load_weights<M: Module>(module: M, bytes: &[u8]) -> Result<M, RecordError> {
    let bytes = Bytes::from_bytes_vec(bytes.to_vec());
    module.try_load_record(ModuleRecord::from_bytes(bytes)?)
}

impl<M: Module> Trainer<M> {
    /// The files of a checkpoint: weights, optimizer state, moving average. Equal states give equal bytes.
    ///
    /// # Errors
    /// [`TrainError::Encode`].
    pub fn checkpoint_files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, TrainError> {
        let file = |name: &'static str, bytes: Result<Vec<u8>, RecordError>| {
            let bytes = bytes.map_err(|e| TrainError::Encode {
                name,
                reason: format!("{e:?}"),
            })?;
            Ok::<_, TrainError>((name, bytes))
        };
        let bf16_moments = self.config.optimizer.moment_dtype == MomentDtype::Bf16;
        let mut files = vec![
            file(MODEL_FILE, module_bytes(self.model().valid()))?,
            file(
                OPTIMIZER_FILE,
                optimizer_bytes(&self.counted_optimizer(), bf16_moments),
            )?,
        ];
        if let Some(ema) = &self.ema {
            files.push(file(EMA_FILE, module_bytes(ema.average().clone()))?);
        }
        Ok(files)
    }

    /// Progress of the run; `config_hash` is the hash of the settings that must not change.
    pub fn state(&self, config_hash: &str) -> TrainState {
        TrainState {
            step: self.step,
            skipped: self.skipped,
            skipped_in_row: self.skipped_in_row,
            config_hash: config_hash.into(),
        }
    }

    /// Restores the exact state at which `checkpoint` was saved. `self` must be new, with the same configuration.
    ///
    /// # Errors
    /// [`TrainError::Mismatch`] for a checkpoint of another configuration or architecture, [`TrainError::Corrupt`]
    /// for one that lacks a file.
    pub fn resume(
        mut self,
        checkpoint: &Checkpoint,
        config_hash: &str,
    ) -> Result<Self, TrainError> {
        if checkpoint.state.config_hash != config_hash {
            return Err(TrainError::Mismatch {
                path: checkpoint.path.clone(),
                reason: "the hash of the configuration differs".into(),
            });
        }
        let mismatch = |e: RecordError| TrainError::Mismatch {
            path: checkpoint.path.clone(),
            reason: format!("{e:?}"),
        };
        let weights = checkpoint.file(MODEL_FILE)?;
        self.model = Some(load_weights(self.model().clone(), weights).map_err(mismatch)?);
        let optimizer = Bytes::from_bytes_vec(checkpoint.file(OPTIMIZER_FILE)?.to_vec());
        self.optimizer = self.optimizer.from_bytes(optimizer).map_err(mismatch)?;
        if self.ema.is_some() {
            // A clone of a batch norm shares its running statistics; `valid` copies them.
            let average = load_weights(self.model().valid(), checkpoint.file(EMA_FILE)?);
            self.ema = Some(Ema::new(&average.map_err(mismatch)?, self.config.ema_decay));
        }
        let state = &checkpoint.state;
        (self.step, self.skipped, self.skipped_in_row) =
            (state.step, state.skipped, state.skipped_in_row);
        Ok(self)
    }
}
