//! A caption of one picture, greedy or by beams.

use burn::prelude::*;
use vlp_models::{E2eVlp, PretrainObjectives};
use vlp_objectives::{Inputs, Needs, Pretrain, VisionLanguage};
use vlp_transformer::{GenerationConfig, TextBatch};
use vlp_vision::PaddedImages;

use super::Case;
use crate::arrays::Arrays;
use crate::batch;
use crate::error::PeerError;
use crate::figures::{Figure, Figures};

/// BERT's `[CLS]`.
const FIRST: u32 = 101;
/// No word: nothing ends a caption.
const NEVER: u32 = u32::MAX;
const TOKENS: usize = 20;

struct Caption {
    model: Pretrain<E2eVlp, PretrainObjectives>,
    images: PaddedImages,
    /// Not read: a caption is written from the picture alone.
    text: TextBatch,
    search: GenerationConfig,
}

pub(super) fn load(
    model: Pretrain<E2eVlp, PretrainObjectives>,
    inputs: &Arrays,
    beams: usize,
    device: &Device,
) -> Result<Box<dyn Case>, PeerError> {
    Ok(Box::new(Caption {
        model,
        images: batch::images(inputs, device)?,
        text: TextBatch::pack(&[&[FIRST]], 0, device),
        search: GenerationConfig {
            beams,
            ..GenerationConfig::greedy(FIRST, NEVER, TOKENS)
        },
    }))
}

impl Case for Caption {
    fn run(&mut self) -> Result<Figures, PeerError> {
        let Pretrain { model, objectives } = &self.model;
        let inputs = Inputs {
            images: &self.images,
            text: &self.text,
            image_of: &[0],
            cells: &[],
        };
        let encoded = model.encode(&inputs, Needs::IMAGE)?;
        let Some(head) = &objectives.caption else {
            return Err(PeerError::Request("the preset writes no captions".into()));
        };
        let written = head.generate(&encoded, &self.search)?;
        let score = written.iter().map(|own| own.score).sum();
        let ids = written.iter().flat_map(|own| &own.ids);
        let ids = ids.map(|&id| f64::from(id)).sum();
        Ok(vec![
            ("score".into(), Figure::number(score)),
            ("ids".into(), Figure::number(ids)),
        ])
    }
}
