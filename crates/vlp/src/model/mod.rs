//! Model and heads of a configuration.

mod any_encoder;
mod any_model;
mod build;

pub use any_encoder::AnyEncoder;
pub use any_model::AnyModel;
pub use build::{Model, build_model, build_objectives, trained_objectives};
