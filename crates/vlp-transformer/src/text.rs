//! BERT's input embedding and batches of token ids.

use burn::nn::{Dropout, DropoutConfig, Embedding, EmbeddingConfig};
use burn::prelude::*;
use burn::tensor::TensorData;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_ops::{LayerNorm, dropout, embedding, init_weights};

use crate::error::{TransformerError, check_dropout};

/// Token ids padded to a common length.
#[derive(Debug, Clone)]
pub struct TextBatch {
    /// `[batch, length]`.
    pub ids: Tensor<2, Int>,
    /// `[batch, length]`, true = padding.
    pub pad_mask: Tensor<2, Bool>,
}

impl TextBatch {
    /// Pads rows of ids with `pad` to the longest row, at least to length 1.
    pub fn collate(rows: &[&[u32]], pad: u32, device: &Device) -> Self {
        Self::collate_to_multiple(rows, pad, 1, 0, device)
    }

    /// [`Self::collate`] to a length that is a multiple of `multiple`, or to `max_length` if that is shorter but long enough.
    pub fn collate_to_multiple(
        rows: &[&[u32]],
        pad: u32,
        multiple: usize,
        max_length: usize,
        device: &Device,
    ) -> Self {
        let longest = rows.iter().map(|row| row.len()).max().unwrap_or(0).max(1);
        let length = longest.next_multiple_of(multiple.max(1));
        let length = length.min(max_length.max(longest));
        let mut ids = vec![pad as i32; rows.len() * length];
        let mut pad_mask = vec![true; rows.len() * length];
        for (i, row) in rows.iter().enumerate() {
            for (j, &id) in row.iter().enumerate() {
                ids[i * length + j] = id as i32;
                pad_mask[i * length + j] = false;
            }
        }
        let shape = [rows.len(), length];
        Self {
            ids: Tensor::from_data(TensorData::new(ids, shape), device),
            pad_mask: Tensor::from_data(TensorData::new(pad_mask, shape), device),
        }
    }
}

/// Configuration of a [`TextEmbedding`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct TextEmbeddingConfig {
    /// Number of tokens in the vocabulary.
    pub vocab_size: usize,
    /// Width of the embeddings.
    pub d_model: usize,
    /// Number of position embeddings: the greatest length of a text in tokens.
    pub max_positions: usize,
    /// Number of token types (segments); 2 in BERT. A single text has type 0.
    pub type_vocab_size: usize,
    /// Dropout after the layer norm.
    pub dropout: f64,
}

/// Sum of word, position and token type embeddings with layer norm and dropout (BERT).
#[derive(Module, Debug)]
pub struct TextEmbedding {
    word: Embedding,
    position: Embedding,
    token_type: Embedding,
    norm: LayerNorm,
    dropout: Dropout,
}

init_weights!(TextEmbedding { word, position, token_type, norm; dropout });

impl TextEmbeddingConfig {
    /// BERT's: 512 positions, two token types, dropout 0.1.
    pub fn new(vocab_size: usize, d_model: usize) -> Self {
        Self {
            vocab_size,
            d_model,
            max_positions: 512,
            type_vocab_size: 2,
            dropout: 0.1,
        }
    }

    /// Builds the embedding.
    ///
    /// Its initial weights are burn's defaults, N(0, 1); `vlp_models::initialize` sets BERT's.
    ///
    /// # Errors
    /// [`TransformerError::Config`] if `dropout` is not in `[0, 1)`.
    pub fn init(&self, device: &Device) -> Result<TextEmbedding, TransformerError> {
        check_dropout("dropout", self.dropout)?;
        let table = |rows| EmbeddingConfig::new(rows, self.d_model).init(device);
        Ok(TextEmbedding {
            word: table(self.vocab_size),
            position: table(self.max_positions),
            token_type: table(self.type_vocab_size),
            norm: LayerNorm::new(self.d_model, 1e-12, device),
            dropout: DropoutConfig::new(self.dropout).init(),
        })
    }
}

impl TextEmbedding {
    /// Embeds texts of token type 0 with positions from 0.
    ///
    /// # Panics
    /// If the texts are longer than [`Self::max_positions`], or an id is not in the vocabulary, depending on the backend;
    /// [`Self::check`] finds both before.
    ///
    /// # Shapes
    /// - `ids`: `[batch, length]`
    /// - output: `[batch, length, d_model]`
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        self.forward_from(ids, 0)
    }

    /// [`Self::forward`] with positions from `start`, to embed the next tokens of a text that is being generated.
    ///
    /// # Panics
    /// As [`Self::forward`], for texts that begin at `start`.
    ///
    /// # Shapes
    /// - `ids`: `[batch, length]`
    /// - output: `[batch, length, d_model]`
    pub fn forward_from(&self, ids: Tensor<2, Int>, start: usize) -> Tensor<3> {
        let length = ids.dims()[1];
        self.embed(ids, self.position.weight.val().narrow(0, start, length))
    }

    /// [`Self::forward_from`] for one token of each text at a position on the device, `[1]`, which must be below
    /// [`Self::max_positions`].
    ///
    /// # Shapes
    /// - `ids`: `[batch, 1]`
    /// - output: `[batch, 1, d_model]`
    pub fn forward_at(&self, ids: Tensor<2, Int>, position: Tensor<1, Int>) -> Tensor<3> {
        self.embed(ids, self.position.weight.val().select(0, position))
    }

    /// Embeds tokens `[batch, length]` of type 0 with the position embeddings `[length, d_model]`.
    fn embed(&self, ids: Tensor<2, Int>, positions: Tensor<2>) -> Tensor<3> {
        let token_type = self.token_type.weight.val().narrow(0, 0, 1);
        let x = embedding(self.token_embedding(), ids) + (positions + token_type).unsqueeze::<3>();
        dropout(&self.dropout, self.norm.forward(x))
    }

    /// [`Self::forward`] with a type for each token: 0 in the first of BERT's two segments, 1 in the second.
    ///
    /// # Panics
    /// As [`Self::forward`].
    ///
    /// # Shapes
    /// - `ids`, `token_types`: `[batch, length]`
    /// - output: `[batch, length, d_model]`
    pub fn forward_with_token_types(
        &self,
        ids: Tensor<2, Int>,
        token_types: Tensor<2, Int>,
    ) -> Tensor<3> {
        let length = ids.dims()[1];
        let positions = self.position.weight.val().narrow(0, 0, length);
        let token_types = embedding(self.token_type.weight.val(), token_types);
        let added = token_types + positions.unsqueeze::<3>();
        let x = embedding(self.token_embedding(), ids) + added;
        dropout(&self.dropout, self.norm.forward(x))
    }

    /// The token embedding matrix `[vocab_size, d_model]`, for output heads tied to it.
    pub fn token_embedding(&self) -> Tensor<2> {
        self.word.weight.val()
    }

    /// Number of position embeddings: the greatest length of a text in tokens.
    pub fn max_positions(&self) -> usize {
        self.position.weight.shape().dims::<2>()[0]
    }

    /// Number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.word.weight.shape().dims::<2>()[0]
    }

    /// Checks the lengths and ids of texts.
    ///
    /// # Errors
    /// [`TransformerError::TooLong`] or [`TransformerError::UnknownToken`] for the first text that cannot be embedded.
    pub fn check(&self, rows: &[&[u32]]) -> Result<(), TransformerError> {
        let (max, vocab) = (self.max_positions(), self.vocab_size());
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
