use std::path::PathBuf;

use crate::dtype::DType;

/// Errors of reading, mapping and writing weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file cannot be opened or read.
    #[error("weights {}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// The file is not a checkpoint, is damaged, or has an unsupported format.
    #[error("weights {}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong and what is supported.
        reason: String,
    },
    /// The file would need far more memory than its size justifies, or is larger than readers accept.
    #[error("weights {}: {what} exceeds the limit of {limit}; {hint}", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// What is too large, with its size.
        what: String,
        /// The limit.
        limit: u64,
        /// What to do about it.
        hint: &'static str,
    },
    /// There is no tensor of this name.
    #[error("weights {}: no tensor {tensor:?}; nearest of {count}: {nearest}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The requested name.
        tensor: String,
        /// Number of tensors in the file.
        count: usize,
        /// Similar names in the file.
        nearest: String,
    },
    /// The tensor's type cannot be converted to `f32`.
    #[error(
        "weights {}: tensor {tensor:?} is of type {dtype}; save it as float32, float16, bfloat16, float64, bool or an integer",
        path.display()
    )]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type.
        dtype: DType,
    },
    /// The tensor's bytes cannot be read: the file is damaged or inconsistent.
    #[error("weights {}: tensor {tensor:?} ({dtype}, shape {shape:?}): {reason}", path.display())]
    Tensor {
        /// The file.
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
    /// The tensor's shape does not match its parameter.
    #[error(transparent)]
    Shape(#[from] Box<ShapeMismatch>),
    /// The file cannot be written.
    #[error("weights {}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// A tensor passed to the writer does not match the names and shapes declared at its creation.
    #[error("weights {}: tensor {tensor:?} cannot be written: {reason}", path.display())]
    InvalidTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The tensor names fit no layout as a whole.
    #[error("weights {}: its tensor names match no known layout ({layouts}): {reason}", path.display())]
    UnknownNames {
        /// The file.
        path: PathBuf,
        /// Names of all layouts.
        layouts: String,
        /// The first name that does not fit, or is missing, in the nearest layout.
        reason: String,
    },
    /// There is no checkpoint layout of this name.
    #[error("unknown checkpoint layout {name:?}; use one of {layouts}")]
    UnknownLayout {
        /// The name.
        name: String,
        /// Names of all layouts.
        layouts: String,
    },
}

/// A tensor whose shape does not match its parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "weights {}: tensor {tensor:?} ({dtype}) has shape {tensor_shape:?}; parameter {parameter} of shape {parameter_shape:?} takes {expected}",
    path.display()
)]
#[non_exhaustive]
pub struct ShapeMismatch {
    /// The file.
    pub path: PathBuf,
    /// Name of the tensor.
    pub tensor: String,
    /// Type of the tensor.
    pub dtype: DType,
    /// Shape of the tensor.
    pub tensor_shape: Vec<usize>,
    /// Path of the parameter.
    pub parameter: String,
    /// Shape of the parameter.
    pub parameter_shape: Vec<usize>,
    /// Description of the expected tensor shape.
    pub expected: String,
}
