//! CIDEr-D of single captions with document frequencies from a corpus: a reward for training.

use super::cider::IdfWeights;
use super::ngram::{NgramCounts, NgramTable};
use super::pair::split_at_spaces;
use super::ptb;

/// Document frequencies of n-grams in the captions of many images.
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
    weights: IdfWeights,
    images: usize,
}

impl std::fmt::Debug for CiderCorpus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CiderCorpus of {} images", self.images)
    }
}

impl CiderCorpus {
    /// Counts the n-grams of captions; the captions of each image are one document.
    pub fn new<'a>(images: impl IntoIterator<Item = &'a [String]>) -> Self {
        let mut table = NgramTable::default();
        let documents: Vec<Vec<NgramCounts>> = images
            .into_iter()
            .map(|captions| captions.iter().map(|c| table.count(&tokens(c))).collect())
            .collect();
        Self {
            weights: IdfWeights::new(table.lens(), &documents),
            images: documents.len(),
            table,
        }
    }

    /// CIDEr-D of a caption that is not tokenized, in 0..=10; 0 without references.
    ///
    /// Equal to the official score of the caption in a set whose references are the corpus.
    pub fn score(&self, hypothesis: &str, references: &[String]) -> f64 {
        if references.is_empty() {
            return 0.0;
        }
        // Ids of n-grams that are not in the corpus; only for this call.
        let mut new_ngrams = NgramTable::default();
        let mut count = |text: &str| self.table.count_with_new(&mut new_ngrams, &tokens(text));
        let counts = count(hypothesis);
        let references: Vec<NgramCounts> = references.iter().map(|r| count(r)).collect();
        self.weights.cider_d(&counts, &references)
    }
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = ptb::tokenize_all([text]).pop().unwrap_or_default();
    split_at_spaces(&mut tokens);
    tokens
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::caption::cider::pair_cider_d;
    use crate::caption::{CaptionPair, tokenize_pairs};

    #[test]
    fn single_caption_scores_as_in_the_whole_set() {
        let captions = [
            ["a dog runs on grass", "the brown dog is running"],
            ["a cat sleeps on a bed", "one cat on the bed, asleep"],
            ["two birds on a wire", "birds sit on the wire"],
        ]
        .map(|captions| captions.map(str::to_string).to_vec());
        let hypotheses = ["a dog sleeps on a bed", "a zebra on a bed", "two birds"];
        let pairs: Vec<CaptionPair<'_>> = hypotheses
            .iter()
            .zip(&captions)
            .map(|(hypothesis, references)| CaptionPair {
                hypothesis,
                references,
            })
            .collect();
        let expected = pair_cider_d(&tokenize_pairs(&pairs)).unwrap();
        let corpus = CiderCorpus::new(captions.iter().map(Vec::as_slice));
        for ((text, references), expected) in hypotheses.iter().zip(&captions).zip(expected) {
            assert!(expected > 0.0);
            assert!(
                (corpus.score(text, references) - expected).abs() < 1e-12,
                "{text}"
            );
        }
        assert_eq!(corpus.score("a dog", &[]), 0.0);
    }
}
