#![doc = include_str!("../README.md")]

mod arrange;
mod dtype;
mod error;
mod file;
mod limits;
mod map;
mod pickle;
mod plan;
mod pytorch;
mod safe;
mod write;

pub use dtype::DType;
pub use error::{Misfit, WeightsError};
pub use file::{Format, TensorInfo, WeightsFile};
pub use map::{Convention, Rows, Source};
pub use plan::{Plan, Take};
pub use write::SafetensorsWriter;
