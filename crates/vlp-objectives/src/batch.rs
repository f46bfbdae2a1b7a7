//! A batch on the device, with its targets on the CPU.

use vlp_ops::capture::Value;
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;

use crate::inputs::Inputs;
use crate::pairing::Pairing;
use crate::target_tensors::{NamedTargetTensors, TargetTensors, bools, floats, ints};
use crate::targets::Targets;
use crate::visual_masks::VisualMasks;

/// Examples on the device, with their targets.
#[derive(Debug, Clone)]
pub struct Batch<T> {
    /// Padded images.
    pub images: PaddedImages,
    /// Texts of the joint pass, after every objective has prepared them.
    pub text: TextBatch,
    /// Ids of those texts, unpadded.
    pub ids: Vec<Vec<u32>>,
    /// The image of each text.
    pub pairing: Pairing,
    /// The visual code that is masked for each text; `None` if nothing is masked.
    pub visual_masks: Option<VisualMasks>,
    /// The unmodified first text of each image, if an objective reads the text-only pass.
    pub image_texts: Option<TextBatch>,
    /// Targets of every prepared text.
    pub targets: Vec<T>,
    /// Index into `targets` of each row of the joint pass.
    pub target_index: Vec<usize>,
    /// Number of images and of texts, if all images are paired with all texts: image `i` with text `j` is row
    /// `i * all_pairs + j`.
    pub all_pairs: Option<usize>,
    /// Padding token.
    pub pad: u32,
    /// Tensors of the targets by name of the objective, without autodiff: in training on a GPU.
    pub target_tensors: NamedTargetTensors,
}

impl<T> Batch<T> {
    /// The input of a model.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            images: &self.images,
            text: &self.text,
            pairing: &self.pairing,
            visual_masks: self.visual_masks.as_ref(),
            image_texts: self.image_texts.as_ref(),
        }
    }

    /// The targets with their rows.
    pub fn targets(&self) -> Targets<'_, T> {
        Targets::new(&self.targets, &self.target_index)
    }

    /// The given rows of the joint pass, in the given order, with borrowed targets.
    pub(crate) fn select(&self, rows: &[usize]) -> Batch<&T> {
        let ids: Vec<Vec<u32>> = rows.iter().map(|&row| self.ids[row].clone()).collect();
        let texts: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let image_index = rows.iter().map(|&row| self.pairing.image_index()[row]);
        Batch {
            text: TextBatch::collate(&texts, self.pad, &self.text.ids.device()),
            images: self.images.clone(),
            pairing: Pairing::new(self.images.pixels.dims()[0], image_index.collect()),
            visual_masks: self.visual_masks.as_ref().map(|masks| masks.select(rows)),
            image_texts: self.image_texts.clone(),
            targets: self.targets.iter().collect(),
            target_index: rows.iter().map(|&row| self.target_index[row]).collect(),
            all_pairs: None,
            pad: self.pad,
            target_tensors: vec![],
            ids,
        }
    }

    /// All tensors, without autodiff, in the order of [`Self::with_tensors`].
    pub fn tensors(&self) -> Vec<Value> {
        let mut values: Vec<Value> = vec![
            self.images.pixels.clone().without_autodiff().into(),
            self.images.pad_mask.clone().without_autodiff().into(),
        ];
        for text in std::iter::once(&self.text).chain(&self.image_texts) {
            values.extend([
                text.ids.clone().without_autodiff().into(),
                text.pad_mask.clone().without_autodiff().into(),
            ]);
        }
        let masks = self.visual_masks.iter();
        values.extend(masks.map(|masks| Value::from(masks.positions().without_autodiff())));
        let targets = self.target_tensors.iter();
        values.extend(targets.flat_map(|(_, tensors)| tensors.values.clone()));
        values
    }

    /// The batch with other tensors of the same shapes and with borrowed targets. Those targets are not of these tensors, so
    /// that an objective must read its [`target_tensors`](crate::Objective::target_tensors) instead.
    ///
    /// # Panics
    /// If the values are not as many as those of [`Self::tensors`], or of other types.
    pub fn with_tensors(&self, values: &[Value]) -> Batch<&T> {
        let device = self.images.pixels.device();
        let mut values = values.iter();
        #[allow(clippy::expect_used, reason = "documented")]
        let mut next = || values.next().expect("a value for each tensor");
        let images = PaddedImages {
            pixels: floats(next().tensor(), &device),
            pad_mask: bools(next().tensor(), &device),
        };
        let mut text = || TextBatch {
            ids: ints(next().tensor(), &device),
            pad_mask: bools(next().tensor(), &device),
        };
        let (joint, image_texts) = (text(), self.image_texts.as_ref().map(|_| text()));
        let visual_masks = self.visual_masks.as_ref();
        let visual_masks =
            visual_masks.map(|masks| masks.with_positions(ints(next().tensor(), &device)));
        let targets = self.target_tensors.iter().map(|(name, tensors)| {
            let values = tensors.values.iter().map(|_| next().clone()).collect();
            let key = tensors.key.clone();
            (*name, TargetTensors { values, key })
        });
        Batch {
            target_tensors: targets.collect(),
            images,
            text: joint,
            ids: self.ids.clone(),
            pairing: self.pairing.clone(),
            visual_masks,
            image_texts,
            targets: self.targets.iter().collect(),
            target_index: self.target_index.clone(),
            all_pairs: self.all_pairs,
            pad: self.pad,
        }
    }

    /// Key of the captured graph: equal keys mean the same kernels, on other values of [`Self::tensors`].
    pub fn key(&self) -> Vec<usize> {
        let images = self.images.pixels.dims()[0];
        let mut key = vec![images, self.all_pairs.map_or(0, |pairs| pairs + 1)];
        key.extend(self.pairing.image_index());
        key.push(usize::from(self.image_texts.is_some()));
        key.push(
            self.visual_masks
                .as_ref()
                .map_or(0, |masks| masks.key() + 1),
        );
        for (_, tensors) in &self.target_tensors {
            key.extend([tensors.values.len(), tensors.key.len()]);
            key.extend(&tensors.key);
        }
        key
    }
}
