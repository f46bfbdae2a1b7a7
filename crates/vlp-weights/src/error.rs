use std::path::PathBuf;

use crate::dtype::DType;

/// What can go wrong when weights are read, mapped or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The system could not open or read the file.
    #[error("weights {}: cannot be read: {source}", path.display())]
    Read {
        /// The file asked for.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is no checkpoint, is damaged, or is of a kind that is not read.
    #[error("weights {}: {reason}", path.display())]
    Format {
        /// The file asked for.
        path: PathBuf,
        /// What was found and what would be right.
        reason: String,
    },
    /// The file asks for more than an honest one of its size would.
    #[error("weights {}: {what} is over the limit of {limit}; {hint}", path.display())]
    Limit {
        /// The file asked for.
        path: PathBuf,
        /// What is too large, with its size.
        what: String,
        /// The most that is taken.
        limit: u64,
        /// What to do about it.
        hint: &'static str,
    },
    /// No tensor has this name.
    #[error("weights {}: no tensor {tensor:?}; nearest of {count}: {near}", path.display())]
    Missing {
        /// The file asked for.
        path: PathBuf,
        /// The name asked for.
        tensor: String,
        /// Tensors in the file.
        count: usize,
        /// Similar names in the file.
        near: String,
    },
    /// The tensor's values cannot become `f32`.
    #[error(
        "weights {}: tensor {tensor:?} is of type {dtype}; save it as float32, float16, bfloat16, float64, bool or an integer",
        path.display()
    )]
    Type {
        /// The file asked for.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: DType,
    },
    /// The tensor's bytes cannot be read: the file is damaged, or disagrees with itself.
    #[error("weights {}: tensor {tensor:?} ({dtype}, shape {shape:?}): {reason}", path.display())]
    Tensor {
        /// The file asked for.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: DType,
        /// Its shape.
        shape: Vec<usize>,
        /// What is wrong.
        reason: String,
    },
    /// The tensor does not fit the parameter it is for.
    #[error(transparent)]
    Shape(#[from] Box<Misfit>),
    /// The file could not be written.
    #[error("weights {}: cannot be written: {source}", path.display())]
    Write {
        /// The file to be written.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// What was given to be written does not agree with what was announced.
    #[error("weights {}: tensor {tensor:?} cannot be written: {reason}", path.display())]
    Given {
        /// The file to be written.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// No naming convention has this name.
    #[error("no naming convention {name:?}; use one of {known}")]
    Convention {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// A tensor that does not fit the parameter it is for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "weights {}: tensor {tensor:?} ({dtype}) has shape {found:?}; parameter {parameter} of shape {wanted:?} takes {expected}",
    path.display()
)]
#[non_exhaustive]
pub struct Misfit {
    /// The file.
    pub path: PathBuf,
    /// The tensor.
    pub tensor: String,
    /// Its type.
    pub dtype: DType,
    /// Its shape.
    pub found: Vec<usize>,
    /// Path of the parameter.
    pub parameter: String,
    /// Shape of the parameter.
    pub wanted: Vec<usize>,
    /// The shape that would fit, in words.
    pub expected: String,
}
