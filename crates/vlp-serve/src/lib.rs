#![doc = include_str!("../README.md")]

mod api;
mod config;
mod engine;
mod error;
mod host_name;
mod http;
mod json;
mod metrics;
mod model;
mod outputs;
mod page;
mod png_file;
mod server;
mod signals;

pub use config::ServeConfig;
pub use error::ServeError;
pub use host_name::{HostName, HostNameError};
pub use model::{Attended, ExampleImage, Hypotheses, Model, ModelError};
pub use outputs::{
    Answer, Attention, Attribute, Caption, CaptionDefaults, CaptionMethod, Code, CodeGrid,
    CodeWord, Entailment, Head, ImageHit, JointTensors, LabelSpaceInfo, MatchScore, ModelInfo,
    Object, Patch, QueryAttention, SearchHits, SearchInfo, SearchQuery, SearchSubject, SizeRule,
    Tensor, TextAttention, TextHit, WordAttention,
};
pub use server::Server;
pub use signals::stop_signal;

/// The OpenAPI document of the interface, as `/openapi.json` answers it.
pub const OPENAPI: &str = include_str!("../openapi.json");
