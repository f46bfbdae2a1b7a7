//! Preparation of an image and a text for the encoder.

use rand_chacha::ChaCha8Rng;
use vlp_data::{AnswerVocabulary, Example, LabelSpace};
use vlp_text::{Encoding, WordPieceTokenizer};

use crate::visual_masks::VisualMask;

/// An image and a text while objectives prepare them, in the order in which the set lists its members.
///
/// An objective that replaces the text (ITM) must come before one that masks it (MLM).
#[derive(Clone)]
pub struct PairBuilder<'a> {
    /// The loaded example: image, captions, objects, label.
    pub example: &'a Example,
    /// Names of the classes and attributes of the example's objects.
    pub labels: &'a LabelSpace,
    /// The model's tokenizer.
    pub tokenizer: &'a WordPieceTokenizer,
    /// Longest text in tokens, `[CLS]` and `[SEP]` included.
    pub max_text_len: usize,
    /// Index of the text among the example's texts.
    pub text_index: usize,
    /// The text that enters the encoder; initially the example's own.
    pub text: Encoding,
    /// Whether that text belongs to the image.
    pub matched: bool,
    /// Whether the text must not be replaced: the batch pairs all images with all texts.
    pub fixed: bool,
    /// The answer vocabulary, for data sets of questions.
    pub answers: Option<&'a AnswerVocabulary>,
    /// The visual code that is masked for this text, if any.
    pub visual_mask: Option<VisualMask>,
    pub(crate) seed: u64,
}

impl std::fmt::Debug for PairBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PairBuilder")
            .field("example", &self.example.name)
            .field("text_index", &self.text_index)
            .field("text", &self.text)
            .field("matched", &self.matched)
            .finish_non_exhaustive()
    }
}

impl<'a> PairBuilder<'a> {
    /// A builder for the text `text_index` of an example; `seed` is that of the run.
    pub fn new(
        example: &'a Example,
        text_index: usize,
        labels: &'a LabelSpace,
        tokenizer: &'a WordPieceTokenizer,
        max_text_len: usize,
        seed: u64,
    ) -> Self {
        let text = example.texts.get(text_index).map_or("", String::as_str);
        Self {
            example,
            labels,
            tokenizer,
            max_text_len,
            text_index,
            text: tokenizer.encode(text, max_text_len),
            matched: true,
            fixed: false,
            answers: None,
            visual_mask: None,
            seed,
        }
    }

    /// A caption of another image, by which this text may be replaced; empty if there is no other image.
    pub fn negative_caption(&self) -> &'a str {
        let captions = &self.example.negative_captions;
        captions.get(self.text_index).map_or("", String::as_str)
    }

    /// A random generator that depends on (seed, epoch, example, text index, purpose) alone.
    pub fn rng(&self, purpose: &str) -> ChaCha8Rng {
        let (epoch, key) = (self.example.epoch, self.example.key);
        match self.text_index {
            0 => vlp_data::rng(self.seed, epoch, key, purpose),
            index => vlp_data::rng(self.seed, epoch, key, &format!("{purpose}/{index}")),
        }
    }
}
