//! Either system in inference: whether an image and a text belong together.

use burn::tensor::Device;
use vlp_objectives::{
    EncoderPasses, Inputs, ObjectiveError, Pairing, Pretrain, PretrainObjectives, VisionLanguage,
};
use vlp_ops::capture::{Captured, Value};

use super::{Case, graphs, images_and_text};
use crate::arrays::Arrays;
use crate::batch;
use crate::error::PeerError;
use crate::output::{Output, Outputs};

struct Pair<M: VisionLanguage> {
    model: Pretrain<M, PretrainObjectives>,
    captured: Option<Captured<(), ObjectiveError>>,
    /// Pixels and padding of the images, ids and padding of the text.
    values: [Value; 4],
}

pub(super) fn load<M: VisionLanguage>(
    model: Pretrain<M, PretrainObjectives>,
    inputs: &Arrays,
    device: &Device,
    captures: bool,
) -> Result<Box<dyn Case>, PeerError> {
    let (text, _) = batch::texts(inputs, device)?;
    let images = batch::images(inputs, device)?;
    let captured_model = model.clone();
    let captured = move |(): &(), values: &[Value]| logits(&captured_model, values);
    Ok(Box::new(Pair {
        model,
        captured: captures.then(|| Captured::new("pair", device, captured)),
        values: [
            images.pixels.into(),
            images.pad_mask.into(),
            text.ids.into(),
            text.pad_mask.into(),
        ],
    }))
}

/// Logits of ITM for [`Pair::values`].
fn logits<M: VisionLanguage>(
    model: &Pretrain<M, PretrainObjectives>,
    values: &[Value],
) -> Result<Vec<Value>, ObjectiveError> {
    let Pretrain { model, objectives } = model;
    let (images, text) = images_and_text(values);
    let pairing = Pairing::one_to_one(text.ids.dims()[0]);
    let inputs = Inputs::new(&images, &text, &pairing);
    let encoded = model.encode(&inputs, EncoderPasses::JOINT)?;
    let itm = objectives.itm.iter();
    let logits = itm.map(|itm| itm.logits(encoded.joint().text.cls()).into());
    Ok(logits.collect())
}

impl<M: VisionLanguage> Case for Pair<M> {
    fn run(&mut self) -> Result<Outputs, PeerError> {
        let values = match &mut self.captured {
            Some(captured) => captured.call(&(), &self.values)?,
            None => logits(&self.model, &self.values)?,
        };
        let values = values.into_iter();
        let outputs = values.map(|value| ("itm".to_owned(), Output::tensor::<2>(value.tensor())));
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
