//! Model and heads of a configuration.

mod any_model;
mod build;
mod heads;

pub use any_model::AnyModel;
pub use build::{Model, build_model, build_objectives};
pub use heads::Heads;
