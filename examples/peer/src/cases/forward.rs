//! E2E-VLP in inference: pairs, pieces and objects of one image with its text.

use burn::tensor::Device;
use vlp_models::E2eVlp;
use vlp_objectives::{
    EncoderPasses, Inputs, ObjectiveError, Pairing, Pretrain, PretrainObjectives, VisionLanguage,
};
use vlp_ops::capture::{Captured, Value};
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;

use super::{Case, graph};
use crate::arrays::Arrays;
use crate::batch;
use crate::error::PeerError;
use crate::output::{Output, Outputs};

struct Forward {
    model: Pretrain<E2eVlp, PretrainObjectives>,
    captured: Option<Captured<(), ObjectiveError>>,
    images: PaddedImages,
    text: TextBatch,
    /// Images and text again.
    values: [Value; 4],
    /// Of the outputs.
    names: Vec<&'static str>,
}

pub(super) fn load(
    model: Pretrain<E2eVlp, PretrainObjectives>,
    inputs: &Arrays,
    device: &Device,
    captures: bool,
) -> Result<Box<dyn Case>, PeerError> {
    let (text, _) = batch::texts(inputs, device)?;
    let images = batch::images(inputs, device)?;
    let outputs = forward(&model, &images, &text)?;
    let captured_model = model.clone();
    let captured = move |(): &(), values: &[Value]| {
        let images = PaddedImages {
            pixels: values[0].tensor(),
            pad_mask: values[1].tensor(),
        };
        let text = TextBatch {
            ids: values[2].tensor(),
            pad_mask: values[3].tensor(),
        };
        let outputs = forward(&captured_model, &images, &text)?;
        Ok(outputs.into_iter().map(|(_, output)| output).collect())
    };
    Ok(Box::new(Forward {
        model,
        captured: captures.then(|| Captured::new("the forward pass", device, captured)),
        values: [
            images.pixels.clone().into(),
            images.pad_mask.clone().into(),
            text.ids.clone().into(),
            text.pad_mask.clone().into(),
        ],
        images,
        text,
        names: outputs.into_iter().map(|(name, _)| name).collect(),
    }))
}

/// Outputs of all heads.
fn forward(
    model: &Pretrain<E2eVlp, PretrainObjectives>,
    images: &PaddedImages,
    text: &TextBatch,
) -> Result<Vec<(&'static str, Value)>, ObjectiveError> {
    let Pretrain { model, objectives } = model;
    let pairing = Pairing::one_to_one(text.ids.dims()[0]);
    let inputs = Inputs::new(images, text, &pairing);
    let encoded = model.encode(&inputs, EncoderPasses::JOINT.union(EncoderPasses::IMAGE))?;
    let mut outputs = vec![];
    if let Some(itm) = &objectives.itm {
        outputs.push(("itm", itm.logits(encoded.joint().text.cls()).into()));
    }
    if let Some(mlm) = &objectives.mlm {
        let states = encoded.joint().text.states.clone();
        let logits = mlm.logits(states.flatten(0, 1), encoded.parts.token_embedding());
        outputs.push(("mlm", logits.into()));
    }
    if let Some(detection) = &objectives.detection {
        let decoder = encoded.parts.decoder("detection")?;
        let output = detection.predict(detection.last_states(encoded.image(), decoder), 0);
        outputs.push(("class", output.logits.into()));
        outputs.extend(output.attributes.map(|logits| ("attribute", logits.into())));
        outputs.push(("boxes", output.boxes.into()));
    }
    Ok(outputs)
}

impl Case for Forward {
    fn run(&mut self) -> Result<Outputs, PeerError> {
        let outputs = match &mut self.captured {
            Some(captured) => {
                let values = captured.call(&(), &self.values)?;
                self.names.iter().copied().zip(values).collect()
            }
            None => forward(&self.model, &self.images, &self.text)?,
        };
        let outputs = outputs.into_iter().map(|(name, value)| {
            let output = match name {
                "itm" | "mlm" => Output::tensor::<2>(value.tensor()),
                _ => Output::tensor::<4>(value.tensor()),
            };
            (name.to_owned(), output)
        });
        Ok(outputs.collect())
    }

    fn graphs(&self) -> serde_json::Value {
        let captured = self.captured.iter();
        let graphs = captured.map(|own| graph("forward", own.counts(), own.fallbacks()));
        graphs.collect()
    }

    #[cfg(feature = "ledger")]
    fn parts(&self) -> crate::ledger::Parts {
        crate::ledger::parts(&self.model)
    }
}
