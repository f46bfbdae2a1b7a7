#![doc = include_str!("../README.md")]

mod api;
mod config;
mod engine;
mod error;
mod http;
mod metrics;
mod model;
mod outputs;
mod page;
mod png_file;
mod server;
mod signals;

pub use config::ServeConfig;
pub use error::ServeError;
pub use model::{Attended, ExampleImage, Model, ModelError};
pub use outputs::{
    Answer, Attention, Attribute, Caption, CaptionDefaults, CaptionMethod, Code, CodeGrid,
    CodeWord, Head, JointTensors, MatchScore, ModelInfo, Object, Patch, QueryAttention, SizeRule,
    Tensor, TextAttention, WordAttention,
};
pub use server::Server;
pub use signals::stop_signal;

/// The OpenAPI document of the interface, as `/openapi.json` answers it.
pub const OPENAPI: &str = include_str!("../openapi.json");
