//! What can go wrong in an objective.

use vlp_assign::AssignError;
use vlp_eval::EvalError;

/// An impossible configuration, a bad target, or a prediction that is not finite.
#[derive(Debug, thiserror::Error)]
pub enum ObjectiveError {
    /// A configuration value that cannot work.
    #[error("{objective}.{key} = {value}: {hint}")]
    Config {
        /// Name of the objective.
        objective: &'static str,
        /// Name of the configuration key.
        key: &'static str,
        /// The value given.
        value: String,
        /// What would do.
        hint: String,
    },
    /// A prediction is NaN or infinite; a trainer skips such a step.
    #[error(
        "{objective}: image {image} of the batch has a prediction that is not finite: {source}"
    )]
    NonFinite {
        /// Name of the objective.
        objective: &'static str,
        /// Place in the batch.
        image: usize,
        /// The entry of the cost matrix.
        source: AssignError,
    },
    /// The encoder was not asked for, or does not have, what the objective reads.
    #[error("{objective} needs {what} of the encoder, which this model does not give")]
    Missing {
        /// Name of the objective.
        objective: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// An example that the objective cannot use.
    #[error("{objective}: example {example}: {reason}")]
    Example {
        /// Name of the objective.
        objective: &'static str,
        /// Name of the example.
        example: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A batch of pictures that cannot be padded together.
    #[error(transparent)]
    Vision(#[from] vlp_vision::VisionError),
    /// Held-out scores could not be computed.
    #[error(transparent)]
    Eval(#[from] EvalError),
}
