//! E2E-VLP in inference: pairs, pieces and objects of one image with its text.

use burn::tensor::Device;
use vlp_models::E2eVlp;
use vlp_objectives::{
    EncoderPasses, Inputs, ObjectiveError, Pairing, Pretrain, PretrainObjectives, VisionLanguage,
};
use vlp_ops::capture::{Captured, Value};

use super::{Case, graphs, images_and_text};
use crate::arrays::Arrays;
use crate::batch;
use crate::error::PeerError;
use crate::output::{Output, Outputs};

struct Forward {
    model: Pretrain<E2eVlp, PretrainObjectives>,
    captured: Option<Captured<(), ObjectiveError>>,
    /// Pixels and padding of the images, ids and padding of the text.
    values: [Value; 4],
    /// Names of the outputs of `captured`.
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
    let values = [
        images.pixels.into(),
        images.pad_mask.into(),
        text.ids.into(),
        text.pad_mask.into(),
    ];
    let outputs = match captures {
        true => forward(&model, &values)?,
        false => vec![],
    };
    let captured_model = model.clone();
    let captured = move |(): &(), values: &[Value]| {
        let outputs = forward(&captured_model, values)?;
        Ok(outputs.into_iter().map(|(_, output)| output).collect())
    };
    Ok(Box::new(Forward {
        model,
        captured: captures.then(|| Captured::new("forward pass", device, captured)),
        values,
        names: outputs.into_iter().map(|(name, _)| name).collect(),
    }))
}

/// Outputs of all heads for [`Forward::values`].
fn forward(
    model: &Pretrain<E2eVlp, PretrainObjectives>,
    values: &[Value],
) -> Result<Vec<(&'static str, Value)>, ObjectiveError> {
    let Pretrain { model, objectives } = model;
    let (images, text) = images_and_text(values);
    let pairing = Pairing::one_to_one(text.ids.dims()[0]);
    let inputs = Inputs::new(&images, &text, &pairing);
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
            None => forward(&self.model, &self.values)?,
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
        graphs(self.captured.iter().map(Captured::report))
    }

    #[cfg(feature = "ledger")]
    fn parts(&self) -> crate::ledger::Parts {
        crate::ledger::parts(&self.model)
    }
}
