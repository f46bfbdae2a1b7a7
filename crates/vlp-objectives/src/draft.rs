//! An example on its way into the encoder: objectives read it and change its text.

use rand_chacha::ChaCha8Rng;
use vlp_data::{Example, LabelSpace};
use vlp_text::{Encoding, WordPieces};

/// One example while objectives prepare it, in the order in which they are listed.
///
/// Put an objective that replaces the text (ITM) before one that masks it (MLM).
pub struct Draft<'a> {
    /// What the loader gave: picture, captions, objects.
    pub example: &'a Example,
    /// Names of classes and attributes of the example's data set.
    pub labels: &'a LabelSpace,
    /// The model's word pieces.
    pub pieces: &'a WordPieces,
    /// Longest text in tokens, specials included.
    pub max_len: usize,
    /// The text that enters the encoder; the example's own caption at first.
    pub text: Encoding,
    /// Whether that text belongs to the picture.
    pub matched: bool,
    seed: u64,
}

impl<'a> Draft<'a> {
    /// An example with its own caption; `seed` is the run's.
    pub fn new(
        example: &'a Example,
        labels: &'a LabelSpace,
        pieces: &'a WordPieces,
        max_len: usize,
        seed: u64,
    ) -> Self {
        let text = pieces.encode(&example.caption, max_len);
        Self {
            example,
            labels,
            pieces,
            max_len,
            text,
            matched: true,
            seed,
        }
    }

    /// Randomness for one purpose: a pure function of (seed, epoch, example, purpose).
    pub fn rng(&self, purpose: &str) -> ChaCha8Rng {
        vlp_data::rng(self.seed, self.example.epoch, self.example.key, purpose)
    }
}
