#![doc = include_str!("../README.md")]

pub mod conv;
pub mod dictionary;
pub mod error;
mod folded_norm;
mod frozen_graph;
pub mod padded;
pub mod position;
pub mod quantizer;
pub mod resnet;

mod block;

pub use dictionary::{DictionaryConfig, UpdateRule, UpdateTime, VisualDictionary};
pub use error::VisionError;
pub use padded::{PaddedImages, resize_mask};
pub use position::sine_positions;
pub use quantizer::{Fusion, QuantizedMap, VectorQuantizer, VectorQuantizerConfig};
pub use resnet::{Depth, NormMode, ResNet, ResNetConfig, Stem};
