//! Errors of objectives.

use vlp_assign::AssignError;
use vlp_eval::EvalError;

/// An invalid configuration, an example that cannot be used, or a prediction that is not finite.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectiveError {
    /// An invalid configuration value.
    #[error("{objective}.{key} = {value}: {hint}")]
    Config {
        /// Name of the objective.
        objective: &'static str,
        /// Name of the configuration key.
        key: &'static str,
        /// The value.
        value: String,
        /// Which values are valid.
        hint: String,
    },
    /// An objective that the model or the data do not support.
    #[error("{objective} = {{..}}: {hint}")]
    Unusable {
        /// Name of the objective.
        objective: &'static str,
        /// What it needs.
        hint: &'static str,
    },
    /// A prediction is NaN or infinite; a trainer skips such a step.
    #[error(
        "{objective}: image {image} of the batch has a prediction that is not finite: {source}"
    )]
    NonFinite {
        /// Name of the objective.
        objective: &'static str,
        /// Index of the image in the batch.
        image: usize,
        /// The invalid entry of the cost matrix.
        source: AssignError,
    },
    /// The model lacks a module, or a pass that the objective reads did not run.
    #[error("{objective} needs {what}, which the output of this model lacks")]
    Missing {
        /// Name of the objective.
        objective: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// Texts that are not paired with as many images as the objective compares.
    #[error("{objective} needs examples of {size} images each (data.task = \"nlvr2\")")]
    GroupSize {
        /// Name of the objective.
        objective: &'static str,
        /// Images per text.
        size: usize,
    },
    /// An example of two images in a batch of all pairs.
    #[error(
        "example {example} has two images, but data.all_pairs pairs each text with single ones: use data.all_pairs=false"
    )]
    TwoImages {
        /// Name of the example.
        example: String,
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
    /// Images that cannot be padded or encoded together.
    #[error(transparent)]
    Vision(#[from] vlp_vision::VisionError),
    /// Validation scores could not be computed.
    #[error(transparent)]
    Eval(#[from] EvalError),
}
