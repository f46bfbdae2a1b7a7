//! Applying a trained model to images.

mod attention_map;
mod files;
mod prediction;
mod predictor;
mod reader;

pub use attention_map::AttentionMap;
pub use files::write_folder;
pub use prediction::{Caption, Object, Prediction, Request, read_image};
pub use predictor::Predictor;
