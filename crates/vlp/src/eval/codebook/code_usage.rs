//! The codes to which the visual tokens of validation images are assigned, and their distances.

use std::collections::{BTreeMap, BTreeSet};

use burn::prelude::*;
use vlp_data::Example;
use vlp_objectives::{Collator, EncoderPasses, Inputs, Pairing};
use vlp_transformer::TextBatch;

use crate::error::VlpError;
use crate::model::{AnyEncoder, AnyModel};

/// A visual token assigned to a code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VisualToken {
    /// Index of the image.
    pub image: usize,
    /// Index of the token in the image's grid, row-major.
    pub index: usize,
    /// Squared distance between its feature and the code's vector.
    pub distance: f32,
}

/// Codes of all visual tokens of a set of images.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CodeUsage {
    /// Number of tokens assigned to each code.
    pub counts: Vec<u64>,
    /// Rows and columns of the grid of each image.
    pub grids: Vec<[usize; 2]>,
    /// Code of each token of each image, row-major; `None` for padding.
    pub codes: Vec<Vec<Option<usize>>>,
    /// Tokens of each code, nearest first.
    tokens: BTreeMap<usize, Vec<VisualToken>>,
}

impl CodeUsage {
    /// Runs backbone and dictionary on the images, one at a time, so that none is padded.
    ///
    /// # Errors
    /// [`VlpError::Objective`] for images too small for the model, or a model without a dictionary.
    pub fn new(
        model: &AnyModel,
        codes: usize,
        examples: &[Example],
        collator: &Collator<'_>,
        device: &Device,
    ) -> Result<Self, VlpError> {
        let mut usage = Self {
            counts: vec![0; codes],
            grids: vec![],
            codes: vec![],
            tokens: BTreeMap::new(),
        };
        let text = TextBatch::collate(&[&[]], collator.tokenizer.special_tokens().pad, device);
        let encoder = AnyEncoder::new(model, device);
        for (image, example) in examples.iter().enumerate() {
            let images = collator.image(example, device)?;
            let pairing = Pairing::one_to_one(1);
            let inputs = Inputs::new(&images, &text, &pairing);
            let output = encoder.encode(&inputs, EncoderPasses::NONE)?;
            let quantized = output.codes("dictionary")?;
            let assignments = &quantized.assignments()[0];
            let [_, tokens, width] = quantized.features.dims();
            let features = quantized.features.clone().reshape([tokens, width]);
            let rows = assignments.iter().map(|code| code.unwrap_or(0) as i32);
            let rows = rows.collect::<Vec<_>>();
            let rows = Tensor::<1, Int>::from_ints(rows.as_slice(), device);
            let difference = features - quantized.codebook.clone().select(0, rows);
            let distances = difference.square().sum_dim(1).into_data();
            for (index, (code, distance)) in assignments.iter().zip(distances.iter()).enumerate() {
                let Some(code) = *code else { continue };
                usage.counts[code] += 1;
                usage.tokens.entry(code).or_default().push(VisualToken {
                    image,
                    index,
                    distance,
                });
            }
            usage.grids.push(quantized.grid);
            usage.codes.push(assignments.clone());
        }
        for tokens in usage.tokens.values_mut() {
            tokens.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        }
        Ok(usage)
    }

    /// The tokens nearest to a code, at most one of each image, nearest first.
    pub fn nearest(&self, code: usize, count: usize) -> impl Iterator<Item = VisualToken> + '_ {
        let mut images = BTreeSet::new();
        let tokens = self.tokens.get(&code).into_iter().flatten();
        tokens
            .filter(move |token| images.insert(token.image))
            .take(count)
            .copied()
    }

    /// For each code the words in captions of images that have it, with their pointwise mutual information in nats, greatest
    /// first. Words in fewer than `min_images` images, or in fewer than two with the code, are omitted.
    pub fn words(&self, examples: &[Example], min_images: usize) -> Vec<Vec<(String, f64)>> {
        let texts: Vec<BTreeSet<String>> = examples.iter().map(caption_words).collect();
        let mut word_counts = BTreeMap::<&str, usize>::new();
        for word in texts.iter().flatten() {
            *word_counts.entry(word).or_default() += 1;
        }
        let total = examples.len() as f64;
        let words_of_code = |code: usize| {
            let tokens = self.tokens.get(&code).into_iter().flatten();
            let images: BTreeSet<usize> = tokens.map(|token| token.image).collect();
            let mut joint_counts = BTreeMap::<&str, usize>::new();
            for word in images.iter().flat_map(|&image| &texts[image]) {
                *joint_counts.entry(word).or_default() += 1;
            }
            let mut words: Vec<(String, f64)> = joint_counts
                .into_iter()
                .filter(|&(word, count)| count >= 2 && word_counts[word] >= min_images)
                .map(|(word, count)| {
                    let expected = word_counts[word] as f64 * images.len() as f64 / total;
                    (word.to_string(), (count as f64 / expected).ln())
                })
                .filter(|(_, pmi)| *pmi > 0.0)
                .collect();
            words.sort_by(|a, b| b.1.total_cmp(&a.1));
            words
        };
        (0..self.counts.len()).map(words_of_code).collect()
    }
}

/// Distinct lower-case words of an image's captions.
fn caption_words(example: &Example) -> BTreeSet<String> {
    let text = example.captions.join(" ").to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_string)
        .collect()
}
