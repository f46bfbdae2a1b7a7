//! E2E-VLP in inference: pairs, pieces and objects of one picture with its text.

use burn::prelude::*;
use vlp_models::{E2eVlp, PretrainObjectives};
use vlp_objectives::{Inputs, Needs, Pretrain, VisionLanguage};
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;

use super::Case;
use crate::arrays::Arrays;
use crate::batch;
use crate::error::PeerError;
use crate::figures::{Figure, Figures};

struct Forward {
    model: Pretrain<E2eVlp, PretrainObjectives>,
    images: PaddedImages,
    text: TextBatch,
    image_of: Vec<usize>,
}

pub(super) fn load(
    model: Pretrain<E2eVlp, PretrainObjectives>,
    inputs: &Arrays,
    device: &Device,
) -> Result<Box<dyn Case>, PeerError> {
    let (text, ids) = batch::texts(inputs, device)?;
    Ok(Box::new(Forward {
        model,
        images: batch::images(inputs, device)?,
        text,
        image_of: (0..ids.len()).collect(),
    }))
}

impl Case for Forward {
    fn run(&mut self) -> Result<Figures, PeerError> {
        let Pretrain { model, objectives } = &self.model;
        let inputs = Inputs {
            images: &self.images,
            text: &self.text,
            image_of: &self.image_of,
            cells: &[],
        };
        let encoded = model.encode(&inputs, Needs::JOINT.or(Needs::IMAGE))?;
        let mut found: Figures = vec![];
        let mut add = |name: &str, figure: Figure| found.push((name.into(), figure));
        if let Some(itm) = &objectives.itm {
            add("itm", Figure::tensor(itm.logits(&encoded)?));
        }
        if let Some(mlm) = &objectives.mlm {
            let states = encoded.text("mlm")?.states.clone();
            let logits = mlm.logits(states.flatten(0, 1), encoded.words.words());
            add("mlm", Figure::tensor(logits));
        }
        if let Some(detection) = &objectives.detection {
            let states = detection.states(&encoded)?;
            let last = states.dims()[0] - 1;
            let output = detection.output(states.narrow(0, last, 1), 0);
            add("class", Figure::tensor(output.logits));
            add("boxes", Figure::tensor(output.boxes));
            if let Some(attributes) = output.attributes {
                add("attribute", Figure::tensor(attributes));
            }
        }
        Ok(found)
    }
}
