//! Rewards of generated captions.

use std::fmt::Debug;

use vlp_eval::caption::CiderCorpus;
use vlp_text::WordPieceTokenizer;

/// Scores a generated caption for self-critical training.
pub trait CaptionReward: Send + Sync + Debug {
    /// Reward of the tokens between the first and the last one, given the reference captions.
    fn score(&self, ids: &[u32], references: &[String]) -> f64;
}

/// CIDEr-D, with document frequencies of training captions.
#[derive(Debug)]
pub struct CiderReward {
    /// Document frequencies.
    pub corpus: CiderCorpus,
    /// Decodes tokens.
    pub tokenizer: WordPieceTokenizer,
}

impl CaptionReward for CiderReward {
    fn score(&self, ids: &[u32], references: &[String]) -> f64 {
        self.corpus.score(&self.tokenizer.decode(ids), references)
    }
}
