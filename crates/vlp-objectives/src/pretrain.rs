//! A model with its objectives, and the batches it reads.

use burn::prelude::*;
use vlp_data::{AnswerVocabulary, Example, LabelSpace};
use vlp_text::WordPieces;
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;
use vlp_vision::padded::ImageView;

use crate::draft::Draft;
use crate::encoded::{Encoded, Needs, VisionLanguage};
use crate::error::ObjectiveError;
use crate::inputs::{CellDraw, CellRule, Inputs};
use crate::set::{NamedLosses, ObjectiveSet};
use crate::tally::Tally;

/// A model and the objectives that train it: one module, one checkpoint.
#[derive(Module, Debug)]
pub struct Pretrain<M: Module, O: Module> {
    /// The encoder (and decoder).
    pub model: M,
    /// Objectives with the heads they own.
    pub objectives: O,
}

/// Examples on the device, with their targets on the host.
#[derive(Debug, Clone)]
pub struct Batch<T> {
    /// Padded pictures.
    pub images: PaddedImages,
    /// Texts after every objective has prepared them.
    pub text: TextBatch,
    /// Ids of those texts.
    pub ids: Vec<Vec<u32>>,
    /// Picture of each text.
    pub image_of: Vec<usize>,
    /// Which cell's code is masked beside each text.
    pub cells: Vec<Option<CellDraw>>,
    /// A target for each text.
    pub targets: Vec<T>,
    /// Texts beside each picture, where all stand beside all: picture `i` beside text `j` is row `i * all_pairs + j`.
    pub all_pairs: Option<usize>,
    /// Padding token.
    pub pad: u32,
}

impl<T> Batch<T> {
    /// The given rows of texts, in that order.
    fn rows(&self, rows: &[usize]) -> Self
    where
        T: Clone,
    {
        let ids: Vec<Vec<u32>> = rows.iter().map(|&row| self.ids[row].clone()).collect();
        let packed: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        Self {
            text: TextBatch::pack(&packed, self.pad, &self.text.ids.device()),
            images: self.images.clone(),
            image_of: rows.iter().map(|&row| self.image_of[row]).collect(),
            cells: rows.iter().map(|&row| self.cells[row]).collect(),
            targets: rows.iter().map(|&row| self.targets[row].clone()).collect(),
            all_pairs: None,
            pad: self.pad,
            ids,
        }
    }

    /// What the model reads of it.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            images: &self.images,
            text: &self.text,
            image_of: &self.image_of,
            cells: &self.cells,
        }
    }
}

/// Turns loaded examples into batches.
#[derive(Debug, Clone, Copy)]
pub struct Batcher<'a> {
    /// The model's word pieces.
    pub pieces: &'a WordPieces,
    /// Names of the data set's classes and attributes.
    pub labels: &'a LabelSpace,
    /// Longest text in tokens.
    pub max_len: usize,
    /// Seed of the run.
    pub seed: u64,
    /// Padded sizes are multiples of this; 1 in DETR, 32 in SOHO.
    pub size_multiple: usize,
    /// The answers that a question may have.
    pub answers: Option<&'a AnswerVocabulary>,
    /// Put the first text of every example beside every picture: `t` true pairs and `t (t - 1)` false ones, on which
    /// SOHO trains retrieval.
    pub all_pairs: bool,
    /// Hide the pictures: every pixel is zero. For models that are not to see.
    pub blind: bool,
}

impl Batcher<'_> {
    /// Prepares every example for `objectives` and moves the batch to `device`.
    pub fn batch<O: ObjectiveSet>(
        &self,
        objectives: &O,
        examples: &[Example],
        device: &Device,
    ) -> Result<Batch<O::Targets>, ObjectiveError> {
        let (mut ids, mut targets, mut image_of, mut cells) = (vec![], vec![], vec![], vec![]);
        let mut views = vec![];
        for example in examples {
            let image = views.len();
            views.push(ImageView {
                pixels: &example.pixels,
                height: example.height,
                width: example.width,
            });
            if let Some(second) = &example.second {
                views.push(ImageView {
                    pixels: &second.pixels,
                    height: second.height,
                    width: second.width,
                });
            }
            for mut draft in self.drafts(example, examples) {
                let target = objectives.prepare(&mut draft)?;
                // A text about two pictures stands beside either.
                for image in image..views.len() {
                    targets.push(target.clone());
                    ids.push(draft.text.ids.clone());
                    cells.push(draft.cell);
                    image_of.push(image);
                }
            }
        }
        share_places(&mut cells);
        let images = self.pack(&views, device)?;
        let rows: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let pad = self.pieces.special().pad;
        let text = TextBatch::pack(&rows, pad, device);
        Ok(Batch {
            all_pairs: self.all_pairs.then_some(examples.len()),
            pad,
            images,
            text,
            ids,
            image_of,
            cells,
            targets,
        })
    }

    /// The (first) picture of an example alone, as it would stand in a batch of one.
    pub fn picture(
        &self,
        example: &Example,
        device: &Device,
    ) -> Result<PaddedImages, ObjectiveError> {
        let view = ImageView {
            pixels: &example.pixels,
            height: example.height,
            width: example.width,
        };
        self.pack(&[view], device)
    }

    fn pack(
        &self,
        views: &[ImageView<'_>],
        device: &Device,
    ) -> Result<PaddedImages, ObjectiveError> {
        let mut images = PaddedImages::pack(views, self.size_multiple, device)?;
        if self.blind {
            images.pixels = images.pixels.zeros_like();
        }
        Ok(images)
    }

    /// A text of an example before any objective has prepared it.
    pub fn draft<'b>(&'b self, example: &'b Example, number: usize) -> Draft<'b> {
        let (labels, pieces) = (self.labels, self.pieces);
        let draft = Draft::new(example, number, labels, pieces, self.max_len, self.seed);
        Draft {
            answers: self.answers,
            ..draft
        }
    }

    /// The texts beside a picture: its own and foreign ones, or those of the whole batch.
    fn drafts<'b>(&'b self, example: &'b Example, all: &'b [Example]) -> Vec<Draft<'b>> {
        if !self.all_pairs {
            let numbers = 0..example.texts.len();
            return numbers.map(|number| self.draft(example, number)).collect();
        }
        let own = self.draft(example, 0);
        // The picture's own text has number 0: it carries the targets of objectives that look at pictures alone.
        let place = all.iter().position(|other| std::ptr::eq(other, example));
        let beside = |(at, other): (usize, &'b Example)| {
            let text = other.texts.first().map_or("", String::as_str);
            let matched = example.key == other.key || example.captions.iter().any(|c| c == text);
            Draft {
                text: self.pieces.encode(text, self.max_len),
                number: if Some(at) == place { 0 } else { at + 1 },
                matched,
                paired: true,
                ..own.clone()
            }
        };
        all.iter().enumerate().map(beside).collect()
    }
}

impl<M: VisionLanguage, O: ObjectiveSet> Pretrain<M, O> {
    /// Runs the passes of the encoder that the objectives read.
    pub fn encode(&self, batch: &Batch<O::Targets>) -> Result<Encoded<'_>, ObjectiveError> {
        self.model.encode(&batch.inputs(), self.objectives.needs())
    }

    /// Losses of every objective; of a batch of all pairs on those that an objective finds hard, if one does.
    pub fn losses(&self, batch: &Batch<O::Targets>) -> Result<NamedLosses, ObjectiveError> {
        let hard = self.hard_rows(batch)?.map(|rows| batch.rows(&rows));
        let batch = hard.as_ref().unwrap_or(batch);
        self.objectives.losses(&self.encode(batch)?, &batch.targets)
    }

    /// Rows of true pairs and of hard false ones, in order.
    fn hard_rows(&self, batch: &Batch<O::Targets>) -> Result<Option<Vec<usize>>, ObjectiveError> {
        let Some(texts) = batch.all_pairs.filter(|_| self.objectives.mines()) else {
            return Ok(None);
        };
        let trains = batch.images.pixels.is_autodiff();
        let still = trains.then(|| self.valid());
        let own = still.as_ref().unwrap_or(self);
        let images = PaddedImages {
            pixels: batch.images.pixels.clone().inner(),
            pad_mask: batch.images.pad_mask.clone().inner(),
        };
        let text = TextBatch {
            ids: batch.text.ids.clone().inner(),
            pad_mask: batch.text.pad_mask.clone().inner(),
        };
        let inputs = Inputs {
            images: &images,
            text: &text,
            ..batch.inputs()
        };
        let encoded = own.model.encode(&inputs, Needs::IMAGE)?;
        let pairs = own.objectives.hard_pairs(&encoded, &batch.targets)?;
        let own_pairs = (0..texts).map(|at| (at, at));
        let mut rows: Vec<usize> = own_pairs
            .chain(pairs)
            .map(|(image, text)| image * texts + text)
            .collect();
        rows.sort_unstable();
        rows.dedup();
        Ok(Some(rows))
    }

    /// Adds a held-out batch to the scores; call it on `self.valid()`.
    pub fn evaluate(
        &self,
        batch: &Batch<O::Targets>,
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError> {
        self.objectives
            .evaluate(&self.encode(batch)?, &batch.targets, tally)
    }
}

/// Where one place serves the whole batch, it is that of the first text.
fn share_places(cells: &mut [Option<CellDraw>]) {
    let Some(first) = cells.first().copied().flatten() else {
        return;
    };
    for draw in cells.iter_mut().flatten() {
        if draw.rule == CellRule::Batch {
            draw.at = first.at;
        }
    }
}

/// Weighted sum of all terms, `[1]`.
pub fn total(losses: &NamedLosses) -> Option<Tensor<1>> {
    let terms = losses.iter().flat_map(|(_, own)| &own.terms);
    terms
        .map(|(_, weight, value)| value.clone().mul_scalar(*weight))
        .reduce(|a, b| a + b)
}
