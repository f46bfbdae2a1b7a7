#![doc = include_str!("../README.md")]

pub mod attention;
mod constrain;
pub mod decoder;
pub mod encoder;
pub mod error;
pub mod generate;
pub mod layer;
pub mod memory;
pub mod sample;
pub mod text;

pub use attention::{AttentionBias, MultiHeadAttention, MultiHeadAttentionConfig};
pub use decoder::{Decoder, DecoderCache, DecoderConfig, DecoderInput};
pub use encoder::{Encoder, EncoderConfig};
pub use error::TransformerError;
pub use generate::{Generated, GenerationConfig, NextToken};
pub use layer::{Activation, LayerConfig};
pub use memory::Memory;
pub use sample::Sampling;
pub use text::{TextBatch, TextEmbedding, TextEmbeddingConfig};
