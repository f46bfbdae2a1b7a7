//! E2E-VLP in inference: pairs, pieces and objects of one image with its text.

use burn::prelude::*;
use vlp_models::E2eVlp;
use vlp_objectives::{
    EncoderPasses, Inputs, Pairing, Pretrain, PretrainObjectives, VisionLanguage,
};
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;

use super::Case;
use crate::arrays::Arrays;
use crate::batch;
use crate::error::PeerError;
use crate::output::{Output, Outputs};

struct Forward {
    model: Pretrain<E2eVlp, PretrainObjectives>,
    images: PaddedImages,
    text: TextBatch,
    pairing: Pairing,
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
        pairing: Pairing::one_to_one(ids.len()),
    }))
}

impl Case for Forward {
    fn run(&mut self) -> Result<Outputs, PeerError> {
        let Pretrain { model, objectives } = &self.model;
        let inputs = Inputs::new(&self.images, &self.text, &self.pairing);
        let encoded = model.encode(&inputs, EncoderPasses::JOINT.union(EncoderPasses::IMAGE))?;
        let mut outputs: Outputs = vec![];
        let mut add = |name: &str, output: Output| outputs.push((name.into(), output));
        if let Some(itm) = &objectives.itm {
            add(
                "itm",
                Output::tensor(itm.logits(encoded.joint().text.cls())),
            );
        }
        if let Some(mlm) = &objectives.mlm {
            let states = encoded.joint().text.states.clone();
            let logits = mlm.logits(states.flatten(0, 1), encoded.parts.token_embedding());
            add("mlm", Output::tensor(logits));
        }
        if let Some(detection) = &objectives.detection {
            let states = detection.states(encoded.image(), encoded.parts.decoder("detection")?);
            let last = states.dims()[0] - 1;
            let output = detection.predict(states.narrow(0, last, 1), 0);
            add("class", Output::tensor(output.logits));
            add("boxes", Output::tensor(output.boxes));
            if let Some(attributes) = output.attributes {
                add("attribute", Output::tensor(attributes));
            }
        }
        Ok(outputs)
    }
}
