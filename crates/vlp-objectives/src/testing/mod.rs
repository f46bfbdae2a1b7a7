//! A conformance kit for objectives: does an [`Objective`](crate::Objective) keep the rules that the training loop
//! relies on?
//!
//! ```
//! use burn::tensor::Device;
//! use vlp_objectives::{ItmConfig, testing};
//!
//! let device = Device::flex();
//! testing::check(&device, |rig| Ok(ItmConfig::default().init(testing::D_MODEL, &rig.device)))?;
//! # Ok::<(), testing::ConformanceError>(())
//! ```

mod conformance;
mod probe;
mod rig;

pub use conformance::{check, check_with};
pub use probe::{CODES, D_MODEL, Probe};
pub use rig::Rig;

use crate::error::ObjectiveError;

/// A rule that an objective breaks, or a failure of the check.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConformanceError {
    /// It breaks a rule of the trait.
    #[error("{objective}: {violation}")]
    Violation {
        /// Name of the objective.
        objective: &'static str,
        /// The rule and how it is broken.
        violation: String,
    },
    /// A method failed.
    #[error(transparent)]
    Objective(#[from] ObjectiveError),
    /// The examples or the model could not be created.
    #[error("the conformance kit cannot be set up: {0}")]
    Setup(String),
}

impl ConformanceError {
    fn setup(error: impl std::fmt::Display) -> Self {
        Self::Setup(error.to_string())
    }
}
