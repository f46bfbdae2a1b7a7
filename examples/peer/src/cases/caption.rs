//! A caption of one image, greedy or by beams.

use burn::prelude::*;
use vlp_models::E2eVlp;
use vlp_objectives::{
    CapturedEncoder, EncoderPasses, Inputs, Pairing, Pretrain, PretrainObjectives, VisionLanguage,
};
use vlp_transformer::{GenerationConfig, TextBatch};
use vlp_vision::PaddedImages;

use super::{Case, graphs};
use crate::arrays::Arrays;
use crate::batch;
use crate::error::PeerError;
use crate::output::{Output, Outputs};

/// BERT's `[CLS]`.
const FIRST: u32 = 101;
/// No word: nothing ends a caption.
const NEVER: u32 = u32::MAX;
const TOKENS: usize = 20;

struct Caption {
    model: Pretrain<E2eVlp, PretrainObjectives>,
    captured: Option<CapturedEncoder<E2eVlp>>,
    images: PaddedImages,
    /// Not read: a caption is written from the image alone.
    text: TextBatch,
    search: GenerationConfig,
}

pub(super) fn load(
    model: Pretrain<E2eVlp, PretrainObjectives>,
    inputs: &Arrays,
    beams: usize,
    device: &Device,
    captures: bool,
) -> Result<Box<dyn Case>, PeerError> {
    Ok(Box::new(Caption {
        captured: captures.then(|| CapturedEncoder::new(&model.model, device)),
        model,
        images: batch::images(inputs, device)?,
        text: TextBatch::collate(&[&[FIRST]], 0, device),
        search: GenerationConfig::greedy(FIRST, NEVER, TOKENS).with_num_beams(beams),
    }))
}

impl Case for Caption {
    fn run(&mut self) -> Result<Outputs, PeerError> {
        let Pretrain { model, objectives } = &self.model;
        let pairing = Pairing::one_to_one(1);
        let inputs = Inputs::new(&self.images, &self.text, &pairing);
        let encoded = match &self.captured {
            Some(captured) => captured.encode(&inputs, EncoderPasses::IMAGE)?,
            None => model.encode(&inputs, EncoderPasses::IMAGE)?,
        };
        let Some(head) = &objectives.caption else {
            return Err(PeerError::Request("the preset writes no captions".into()));
        };
        let generator = head.generator(&encoded)?;
        let generator = generator.with_static_cache(self.captured.is_some());
        let written = generator.beam_search(&self.search);
        let score = written.iter().map(|caption| caption.score).sum();
        let ids = written.iter().flat_map(|caption| &caption.ids);
        let ids = ids.map(|&id| f64::from(id)).sum();
        Ok(vec![
            ("score".into(), Output::number(score)),
            ("ids".into(), Output::number(ids)),
        ])
    }

    fn graphs(&self) -> serde_json::Value {
        graphs(self.captured.iter().flat_map(CapturedEncoder::report))
    }

    #[cfg(feature = "ledger")]
    fn parts(&self) -> crate::ledger::Parts {
        crate::ledger::parts(&self.model)
    }
}
