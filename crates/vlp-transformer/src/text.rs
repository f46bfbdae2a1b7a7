//! BERT's input embedding and batches of token ids.

use burn::nn::{Dropout, DropoutConfig, Embedding, EmbeddingConfig};
use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_ops::{LayerNorm, dropout, embedding};

use crate::error::TransformerError;

/// Token ids padded to a common length.
#[derive(Debug, Clone)]
pub struct TextBatch {
    /// `[batch, length]`.
    pub ids: Tensor<2, Int>,
    /// `[batch, length]`, true = padding.
    pub pad_mask: Tensor<2, Bool>,
}

impl TextBatch {
    /// Pads rows of ids with `pad` to the longest row.
    pub fn pack(rows: &[&[u32]], pad: u32, device: &Device) -> Self {
        let length = rows.iter().map(|r| r.len()).max().unwrap_or(0).max(1);
        let mut ids = vec![pad as i32; rows.len() * length];
        let mut mask = vec![true; rows.len() * length];
        for (i, row) in rows.iter().enumerate() {
            for (j, &id) in row.iter().enumerate() {
                ids[i * length + j] = id as i32;
                mask[i * length + j] = false;
            }
        }
        Self {
            ids: Tensor::from_data(TensorData::new(ids, [rows.len(), length]), device),
            pad_mask: Tensor::from_data(TensorData::new(mask, [rows.len(), length]), device),
        }
    }
}

/// Configuration of a [`TextEmbedding`].
#[derive(Debug, Clone, PartialEq)]
pub struct TextEmbeddingConfig {
    /// Number of word pieces.
    pub vocab_size: usize,
    /// Width of the tokens.
    pub d_model: usize,
    /// Longest text in tokens.
    pub max_len: usize,
    /// Token types (segments); BERT has 2. Single texts use row 0, others name theirs.
    pub types: usize,
    /// Dropout after the norm.
    pub dropout: f64,
}

/// Word, position and type embeddings, summed and normalised (BERT).
#[derive(Module, Debug)]
pub struct TextEmbedding {
    word: Embedding,
    position: Embedding,
    token_type: Embedding,
    norm: LayerNorm,
    dropout: Dropout,
}

impl TextEmbeddingConfig {
    /// Builds the tables.
    pub fn init(&self, device: &Device) -> TextEmbedding {
        let table = |rows| EmbeddingConfig::new(rows, self.d_model).init(device);
        TextEmbedding {
            word: table(self.vocab_size),
            position: table(self.max_len),
            token_type: table(self.types),
            norm: LayerNorm::new(self.d_model, 1e-12, device),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

impl TextEmbedding {
    /// Embeds ids `[batch, length]` as `[batch, length, d_model]`, type 0, positions from 0.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        self.forward_at(ids, 0)
    }

    /// Embeds ids whose first token stands at place `start`: one more token of a generation.
    pub fn forward_at(&self, ids: Tensor<2, Int>, start: usize) -> Tensor<3> {
        let length = ids.dims()[1];
        let places = self.position.weight.val().narrow(0, start, length);
        let kind = self.token_type.weight.val().narrow(0, 0, 1);
        let x = embedding(self.words(), ids) + (places + kind).unsqueeze::<3>();
        dropout(&self.dropout, self.norm.forward(x))
    }

    /// As [`Self::forward`] with a type for each token, `types` of the shape of `ids`: in BERT 0 in the first of two
    /// segments, 1 in the second.
    pub fn forward_typed(&self, ids: Tensor<2, Int>, types: Tensor<2, Int>) -> Tensor<3> {
        let length = ids.dims()[1];
        let places = self.position.weight.val().narrow(0, 0, length);
        let added = embedding(self.token_type.weight.val(), types) + places.unsqueeze::<3>();
        dropout(
            &self.dropout,
            self.norm.forward(embedding(self.words(), ids) + added),
        )
    }

    /// The word table `[vocab, d_model]`, for output heads tied to it.
    pub fn words(&self) -> Tensor<2> {
        self.word.weight.val()
    }

    /// Longest text in tokens.
    pub fn max_len(&self) -> usize {
        self.position.weight.shape().dims::<2>()[0]
    }

    /// Number of word pieces.
    pub fn vocab_size(&self) -> usize {
        self.word.weight.shape().dims::<2>()[0]
    }

    /// Says which text is too long or holds an id outside the vocabulary.
    pub fn check(&self, rows: &[&[u32]]) -> Result<(), TransformerError> {
        let (max, vocab) = (self.max_len(), self.vocab_size());
        for (row, ids) in rows.iter().enumerate() {
            if ids.len() > max {
                return Err(TransformerError::TooLong {
                    row,
                    length: ids.len(),
                    max,
                });
            }
            if let Some(position) = ids.iter().position(|&id| id as usize >= vocab) {
                return Err(TransformerError::UnknownToken {
                    row,
                    position,
                    id: ids[position],
                    vocab,
                });
            }
        }
        Ok(())
    }
}
