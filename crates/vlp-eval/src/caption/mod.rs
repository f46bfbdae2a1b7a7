//! Scores of generated captions against references, computed as by the COCO caption tool.
//!
//! [`caption_scores`] computes all scores from raw strings. The modules score tokens; [`ptb`] is the
//! tokenizer of the official tool.

pub mod bleu;
pub mod cider;
mod corpus;
pub mod meteor;
mod ngram;
mod pair;
pub mod ptb;
pub mod rouge;

use serde::Serialize;

use crate::EvalError;

pub use corpus::CiderCorpus;
use pair::split_at_spaces;
pub use pair::{CaptionPair, TokenizedPair, tokenize_pairs};

/// Scores of a set of captions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaptionScores {
    /// BLEU-1 to BLEU-4 of the whole set, each in 0..=1.
    pub bleu: [f64; 4],
    /// Mean ROUGE-L, in 0..=1.
    pub rouge_l: f64,
    /// Mean CIDEr-D, in 0..=10 (often reported x 100).
    pub cider_d: f64,
}

/// Tokenizes the captions and computes every score.
///
/// CIDEr-D weights n-grams by their inverse document frequency in the references, so it depends on the whole
/// set: a single pair scores 0.
///
/// # Errors
/// [`EvalError::Empty`] without pairs, [`EvalError::NoReferences`] for a pair without references.
pub fn caption_scores(pairs: &[CaptionPair<'_>]) -> Result<CaptionScores, EvalError> {
    let mut tokens = tokenize_pairs(pairs);
    let rouge_l = rouge::rouge_l(&tokens)?;
    // "1 1/2" and phone numbers are single tokens with a no-break space. In the official
    // tool they are single tokens for ROUGE, while BLEU and CIDEr split at any white space.
    for pair in &mut tokens {
        split_at_spaces(&mut pair.hypothesis);
        pair.references.iter_mut().for_each(split_at_spaces);
    }
    Ok(CaptionScores {
        bleu: bleu::bleu(&tokens)?,
        rouge_l,
        cider_d: cider::cider_d(&tokens)?,
    })
}
