//! Typical patches and words of a dictionary's codes among a run's examples.

use vlp_data::{Example, Image};
use vlp_serve::{Code, CodeWord, Patch};

use crate::data::Datasets;
use crate::error::VlpError;
use crate::eval::{CodeUsage, typical_patch};
use crate::run::TrainedModel;

/// Number of patches of a code.
const PATCHES: usize = 12;
/// Number of words of a code.
const WORDS: usize = 8;
/// Minimum number of images whose captions contain a word.
const MIN_WORD_IMAGES: usize = 3;

/// Typical patches and words of all codes.
#[derive(Debug)]
pub(super) struct TypicalPatches {
    codes: Vec<Code>,
}

impl TypicalPatches {
    /// Encodes `count` validation images.
    ///
    /// # Errors
    /// As [`CodeUsage::new`] and [`Datasets::load_validation`].
    pub(super) fn new(
        trained: &TrainedModel,
        data: &Datasets,
        count: usize,
    ) -> Result<Self, VlpError> {
        let config = &trained.config;
        let codes = config.model.quantizer().map_or(0, |q| q.dictionary.codes);
        let (examples, _) = data.load_validation_images(config, count)?;
        let collator = data.collator(config);
        let usage = CodeUsage::new(
            trained.model(),
            codes,
            &examples,
            &collator,
            &trained.device,
        )?;
        let cells = usage.counts.iter().sum();
        let words = usage.words(&examples, MIN_WORD_IMAGES).into_iter();
        let codes = words.enumerate().map(|(code, words)| Code {
            model: String::new(),
            code,
            uses: usage.counts[code],
            cells,
            words: words
                .into_iter()
                .take(WORDS)
                .map(|(word, pmi)| CodeWord { word, pmi })
                .collect(),
            patches: patches(&usage, &examples, code),
        });
        Ok(Self {
            codes: codes.collect(),
        })
    }

    /// Typical patches and words of a code.
    pub(super) fn code(&self, model: &str, code: usize) -> Option<Code> {
        let code = self.codes.get(code)?.clone();
        Some(Code {
            model: model.into(),
            ..code
        })
    }
}

fn patches(usage: &CodeUsage, examples: &[Example], code: usize) -> Vec<Patch> {
    let tokens = usage.nearest(code, PATCHES);
    let patches = tokens.map(|token| {
        let grid = usage.grids[token.image];
        let patch = typical_patch(&examples[token.image], grid, token.index);
        Patch {
            example: token.image,
            row: token.index / grid[1],
            column: token.index % grid[1],
            image: Image {
                width: patch.width as usize,
                height: patch.height as usize,
                rgb: patch.rgb,
            },
        }
    });
    patches.collect()
}
