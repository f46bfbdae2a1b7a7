#![doc = include_str!("../README.md")]

pub mod attention;
pub mod decoder;
pub mod encoder;
pub mod error;
pub mod generation;
pub mod layer;
pub mod memory;
pub mod text;

pub use attention::{AttentionBias, KeyValue, MultiHeadAttention, MultiHeadAttentionConfig};
pub use decoder::{Decoder, DecoderCache, DecoderConfig, DecoderInput, StaticCache};
pub use encoder::{Encoder, EncoderConfig};
pub use error::TransformerError;
pub use generation::{GeneratedSequence, GenerationConfig, Sampling, TokenScorer};
pub use layer::{Activation, LayerConfig};
pub use memory::Memory;
pub use text::{TextBatch, TextEmbedding, TextEmbeddingConfig};
