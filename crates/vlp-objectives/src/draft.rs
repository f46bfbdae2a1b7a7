//! An example on its way into the encoder: objectives read it and change its text.

use rand_chacha::ChaCha8Rng;
use vlp_data::{AnswerVocabulary, Example, LabelSpace};
use vlp_text::{Encoding, WordPieces};

use crate::inputs::CellDraw;

/// One example while objectives prepare it, in the order in which they are listed.
///
/// Put an objective that replaces the text (ITM) before one that masks it (MLM).
#[derive(Clone)]
pub struct Draft<'a> {
    /// What the loader gave: picture, captions, objects.
    pub example: &'a Example,
    /// Names of classes and attributes of the example's data set.
    pub labels: &'a LabelSpace,
    /// The model's word pieces.
    pub pieces: &'a WordPieces,
    /// Longest text in tokens, specials included.
    pub max_len: usize,
    /// Number of the text among the example's texts.
    pub number: usize,
    /// The text that enters the encoder; the example's own caption at first.
    pub text: Encoding,
    /// Whether that text belongs to the picture.
    pub matched: bool,
    /// Whether the text was paired with the picture by the batch, all pictures with all texts: then it stays.
    pub paired: bool,
    /// The answers that a question may have, in a data set of questions.
    pub answers: Option<&'a AnswerVocabulary>,
    /// Which cell's code is masked beside it, if any.
    pub cell: Option<CellDraw>,
    pub(crate) seed: u64,
}

impl<'a> Draft<'a> {
    /// An example with its text of this number, 0 for the first; `seed` is the run's.
    pub fn new(
        example: &'a Example,
        number: usize,
        labels: &'a LabelSpace,
        pieces: &'a WordPieces,
        max_len: usize,
        seed: u64,
    ) -> Self {
        let own = example.texts.get(number).map_or("", String::as_str);
        let text = pieces.encode(own, max_len);
        Self {
            example,
            labels,
            pieces,
            max_len,
            number,
            text,
            matched: true,
            paired: false,
            answers: None,
            cell: None,
            seed,
        }
    }

    /// A text of another picture for this one, the same number; empty where there is no other picture.
    pub fn distractor(&self) -> &'a str {
        let all = &self.example.distractors;
        all.get(self.number).map_or("", String::as_str)
    }

    /// Randomness for one purpose: a pure function of (seed, epoch, example, number of the text, purpose).
    pub fn rng(&self, purpose: &str) -> ChaCha8Rng {
        let (epoch, key) = (self.example.epoch, self.example.key);
        match self.number {
            0 => vlp_data::rng(self.seed, epoch, key, purpose),
            number => vlp_data::rng(self.seed, epoch, key, &format!("{purpose}/{number}")),
        }
    }
}
