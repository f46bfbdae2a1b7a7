//! Captions of real words, to be tokenized.

use std::fmt::Write;

use rand::RngExt;
use vlp_text::WordPieceTokenizer;

use super::SEED;
use crate::arrays::Arrays;

const CAPTIONS: usize = 2000;
/// Index at which whole words start in BERT's vocabulary, which is sorted by frequency.
const FIRST: usize = 1996;

/// The vocabulary, and captions of 8 to 14 words: capitals, accents, numbers and words of several pieces among them.
pub(super) fn captions(inputs: &mut Arrays) {
    let tokenizer = WordPieceTokenizer::bert_uncased();
    let words: Vec<&str> = tokenizer
        .tokens()
        .iter()
        .skip(FIRST)
        .map(String::as_str)
        .filter(|word| word.len() > 2 && word.chars().all(|c| c.is_ascii_lowercase()))
        .collect();
    let mut text = String::new();
    for caption in 0..CAPTIONS {
        let mut rng = vlp_data::rng(SEED, 0, caption as u64, "words");
        let mut word = || {
            // Frequent words are drawn most.
            let fraction: f64 = rng.random();
            words[(fraction.powi(3) * words.len() as f64) as usize]
        };
        let count = 8 + caption % 7;
        // Writing to a string cannot fail.
        let _ = write!(text, "A {}", word());
        for index in 1..count {
            let word_text = word();
            let _ = match (caption + 3 * index) % 23 {
                0 => write!(text, " {word_text}{}", word()),
                1 => write!(text, ", {word_text}"),
                2 => write!(text, " {word_text}'s {}", index * caption),
                3 => write!(text, " caf\u{e9} {}", word_text.to_uppercase()),
                4 => write!(text, " {word_text}-{}", word()),
                _ => write!(text, " {word_text}"),
            };
        }
        text.push_str(".\n");
    }
    let vocabulary = tokenizer.tokens().join("\n") + "\n";
    for (name, text) in [("vocab", vocabulary), ("captions", text)] {
        inputs.put(name, &[text.len()], text.as_bytes());
    }
}
