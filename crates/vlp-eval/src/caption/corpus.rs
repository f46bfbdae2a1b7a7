//! CIDEr-D of single captions, with the rarity of n-grams taken from a corpus once: a reward for training.

use super::cider::{Rarity, similarity};
use super::ngram::{MAX_N, NgramCounts, NgramTable};
use super::{ptb, split_spaces};

/// What is rare among the captions of many images.
///
/// ```
/// use vlp_eval::caption::CiderCorpus;
///
/// let dogs = vec!["a dog runs".to_string(), "a brown dog".to_string()];
/// let cats = vec!["a cat sleeps".to_string()];
/// let corpus = CiderCorpus::new([dogs.as_slice(), cats.as_slice()]);
/// assert!(corpus.score("a dog runs", &dogs) > corpus.score("a cat runs", &dogs));
/// ```
#[derive(Clone)]
pub struct CiderCorpus {
    table: NgramTable,
    rarity: Rarity,
    images: usize,
}

impl std::fmt::Debug for CiderCorpus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CiderCorpus of {} images", self.images)
    }
}

impl CiderCorpus {
    /// The captions of each image are one document.
    pub fn new<'a>(images: impl IntoIterator<Item = &'a [String]>) -> Self {
        let mut table = NgramTable::default();
        let documents: Vec<Vec<NgramCounts>> = images
            .into_iter()
            .map(|captions| captions.iter().map(|c| table.count(&tokens(c))).collect())
            .collect();
        Self {
            rarity: Rarity::new(table.lens(), &documents),
            images: documents.len(),
            table,
        }
    }

    /// CIDEr-D of a caption as written, in 0..=10; 0 without references.
    ///
    /// Equal to the official figure of the caption in a set whose references are the corpus.
    pub fn score(&self, hypothesis: &str, references: &[String]) -> f64 {
        if references.is_empty() {
            return 0.0;
        }
        // N-grams that the corpus does not hold get numbers for this call alone.
        let mut new = NgramTable::default();
        let mut count = |text: &str| self.table.count_over(&mut new, &tokens(text));
        let counts = count(hypothesis);
        let references: Vec<NgramCounts> = references.iter().map(|r| count(r)).collect();
        let caption = self.rarity.weigh(&counts);
        let sum: f64 = references
            .iter()
            .map(|r| similarity(&self.rarity, &caption, &self.rarity.weigh(r)))
            .sum();
        sum / MAX_N as f64 / references.len() as f64 * 10.0
    }
}

fn tokens(text: &str) -> Vec<String> {
    let mut all = ptb::tokenize_all([text]);
    let mut tokens = all.pop().unwrap_or_default();
    split_spaces(&mut tokens);
    tokens
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::caption::cider::pair_cider_d;
    use crate::caption::{CaptionPair, tokenize_pairs};

    #[test]
    fn a_caption_of_the_corpus_scores_as_in_the_whole_set() {
        let captions = [
            ["a dog runs on grass", "the brown dog is running"],
            ["a cat sleeps on a bed", "one cat on the bed, asleep"],
            ["two birds on a wire", "birds sit on the wire"],
        ]
        .map(|two| two.map(str::to_string).to_vec());
        let written = ["a dog sleeps on a bed", "a zebra on a bed", "two birds"];
        let pairs: Vec<CaptionPair<'_>> = written
            .iter()
            .zip(&captions)
            .map(|(hypothesis, references)| CaptionPair {
                hypothesis,
                references,
            })
            .collect();
        let expected = pair_cider_d(&tokenize_pairs(&pairs)).unwrap();
        let corpus = CiderCorpus::new(captions.iter().map(Vec::as_slice));
        for ((text, references), expected) in written.iter().zip(&captions).zip(expected) {
            assert!(expected > 0.0);
            assert!(
                (corpus.score(text, references) - expected).abs() < 1e-12,
                "{text}"
            );
        }
        assert_eq!(corpus.score("a dog", &[]), 0.0);
    }
}
