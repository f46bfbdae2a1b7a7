//! Collation of examples into batches.

use burn::prelude::*;
use vlp_data::{AnswerVocabulary, Example, LabelSpace};
use vlp_text::WordPieceTokenizer;
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;
use vlp_vision::padded::ImageView;

use crate::batch::Batch;
use crate::error::ObjectiveError;
use crate::pair_builder::PairBuilder;
use crate::pairing::Pairing;
use crate::passes::EncoderPasses;
use crate::set::ObjectiveSet;
use crate::target_tensors::TEXT_MULTIPLE;
use crate::targets::Targets;
use crate::visual_masks::{MaskSampling, VisualMask, VisualMasks};

/// The names of an example's objects if they are not known.
static NO_LABELS: LabelSpace = LabelSpace {
    name: String::new(),
    classes: vec![],
    attributes: vec![],
    ids: vec![],
};

/// Turns loaded examples into batches.
#[derive(Debug, Clone, Copy)]
pub struct Collator<'a> {
    /// The model's tokenizer.
    pub tokenizer: &'a WordPieceTokenizer,
    /// The label spaces of the examples ([`Source::label_spaces`](vlp_data::Source::label_spaces)). Boxes of an example whose
    /// label space is not there are not trained on.
    pub label_spaces: &'a [LabelSpace],
    /// Longest text in tokens.
    pub max_text_len: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Padded heights and widths are multiples of this; 1 in DETR, 32 in SOHO.
    pub size_multiple: usize,
    /// The answer vocabulary, for data sets of questions.
    pub answers: Option<&'a AnswerVocabulary>,
    /// Pair every image with the first text of every example: `n` positive pairs and `n (n - 1)` negative ones, on
    /// which SOHO trains retrieval.
    pub all_pairs: bool,
    /// Set every pixel to zero, for text-only baselines.
    pub hide_images: bool,
}

impl Collator<'_> {
    /// Prepares every example for `objectives` and moves the batch to `device`.
    ///
    /// # Errors
    /// [`ObjectiveError::Vision`] for images that cannot be padded, [`ObjectiveError::TwoImages`] for such an example with
    /// [`Self::all_pairs`], or the error of an objective that cannot use an example.
    pub fn collate<O: ObjectiveSet>(
        &self,
        objectives: &O,
        examples: &[Example],
        device: &Device,
    ) -> Result<Batch<O::Targets>, ObjectiveError> {
        let (mut ids, mut image_index, mut visual_masks) = (vec![], vec![], vec![]);
        let (mut targets, mut target_index) = (vec![], vec![]);
        let (mut views, mut image_texts) = (vec![], vec![]);
        let reads_text = objectives.passes().contains(EncoderPasses::TEXT);
        for example in examples {
            let first_image = views.len();
            views.push(first_view(example));
            if let Some(second) = &example.second_image {
                if self.all_pairs {
                    let example = example.name.clone();
                    return Err(ObjectiveError::TwoImages { example });
                }
                views.push(ImageView {
                    pixels: &second.pixels,
                    height: second.height,
                    width: second.width,
                });
            }
            let images = first_image..views.len();
            if reads_text {
                let text = self.pair(example, 0).text.ids;
                image_texts.extend(images.clone().map(|_| text.clone()));
            }
            for mut pair in self.pairs(example, examples) {
                let target = objectives.prepare(&mut pair)?;
                // A text about two images has a row for each of them.
                for image in images.clone() {
                    target_index.push(targets.len());
                    ids.push(pair.text.ids.clone());
                    visual_masks.push(pair.visual_mask);
                    image_index.push(image);
                }
                targets.push(target);
            }
        }
        share_positions(&mut visual_masks);
        let text = self.pad_texts(&ids, device);
        let mut target_tensors = vec![];
        if trains_on_gpu(device) {
            let targets = Targets::new(&targets, &target_index);
            let (length, inner) = (text.ids.dims()[1], device.clone().inner());
            target_tensors = objectives.target_tensors(&targets, length, &inner)?;
        }
        Ok(Batch {
            images: self.pad_images(&views, device)?,
            text,
            target_tensors,
            ids,
            pairing: Pairing::new(views.len(), image_index),
            visual_masks: VisualMasks::new(&visual_masks, device),
            image_texts: reads_text.then(|| self.pad_texts(&image_texts, device)),
            targets,
            target_index,
            all_pairs: self.all_pairs.then_some(examples.len()),
            pad: self.pad(),
        })
    }

    /// The (first) image of an example by itself, padded as in a batch of one.
    ///
    /// # Errors
    /// [`ObjectiveError::Vision`] for an image that cannot be padded.
    pub fn image(
        &self,
        example: &Example,
        device: &Device,
    ) -> Result<PaddedImages, ObjectiveError> {
        self.pad_images(&[first_view(example)], device)
    }

    /// The builder of an example's text, before any objective has prepared it.
    pub fn pair<'b>(&'b self, example: &'b Example, text_index: usize) -> PairBuilder<'b> {
        let (tokenizer, max_len) = (self.tokenizer, self.max_text_len);
        let labels = self.label_spaces.get(example.label_space);
        let labels = labels.unwrap_or(&NO_LABELS);
        PairBuilder {
            answers: self.answers,
            ..PairBuilder::new(example, text_index, labels, tokenizer, max_len, self.seed)
        }
    }

    /// The texts paired with an image: those of the example, or the first ones of the whole batch.
    fn pairs<'b>(&'b self, example: &'b Example, batch: &'b [Example]) -> Vec<PairBuilder<'b>> {
        if !self.all_pairs {
            let texts = 0..example.texts.len();
            return texts.map(|index| self.pair(example, index)).collect();
        }
        let first = self.pair(example, 0);
        let pair_with = |(index, other): (usize, &'b Example)| {
            let text = other.texts.first().map_or("", String::as_str);
            PairBuilder {
                text: self.tokenizer.encode(text, self.max_text_len),
                // The image's own text has index 0, with which image targets are prepared.
                text_index: if std::ptr::eq(other, example) {
                    0
                } else {
                    index + 1
                },
                matched: example.key == other.key || example.captions.iter().any(|c| c == text),
                fixed: true,
                ..first.clone()
            }
        };
        batch.iter().enumerate().map(pair_with).collect()
    }

    fn pad(&self) -> u32 {
        self.tokenizer.special_tokens().pad
    }

    fn pad_texts(&self, ids: &[Vec<u32>], device: &Device) -> TextBatch {
        let texts: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let multiple = if trains_on_gpu(device) {
            TEXT_MULTIPLE
        } else {
            1
        };
        TextBatch::collate_to_multiple(&texts, self.pad(), multiple, self.max_text_len, device)
    }

    fn pad_images(
        &self,
        views: &[ImageView<'_>],
        device: &Device,
    ) -> Result<PaddedImages, ObjectiveError> {
        let mut images = PaddedImages::collate(views, self.size_multiple, device)?;
        if self.hide_images {
            images.pixels = images.pixels.zeros_like();
        }
        Ok(images)
    }
}

/// Whether a step on this device may be recorded as a graph.
fn trains_on_gpu(device: &Device) -> bool {
    device.is_autodiff() && !vlp_ops::is_cpu(device)
}

fn first_view(example: &Example) -> ImageView<'_> {
    ImageView {
        pixels: &example.pixels,
        height: example.height,
        width: example.width,
    }
}

/// With [`MaskSampling::Batch`] the position of the first text is used for the whole batch.
fn share_positions(masks: &mut [Option<VisualMask>]) {
    let Some(first) = masks.first().copied().flatten() else {
        return;
    };
    for mask in masks.iter_mut().flatten() {
        if mask.sampling == MaskSampling::Batch {
            mask.position = first.position;
        }
    }
}
