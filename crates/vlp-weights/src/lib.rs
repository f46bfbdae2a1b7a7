#![doc = include_str!("../README.md")]

mod convert;
mod dtype;
mod error;
mod import_plan;
mod layout;
mod limits;
mod pickle;
mod pytorch;
mod safetensors_header;
mod safetensors_writer;
mod weights_file;
mod wrapper_names;

pub use dtype::DType;
pub use error::{ShapeMismatch, WeightsError};
pub use import_plan::{ImportPlan, TensorCopy};
pub use layout::{CheckpointLayout, Rows, TensorSource};
pub use safetensors_writer::SafetensorsWriter;
pub use weights_file::{Format, TensorInfo, WeightsFile};
