//! Counting: how many objects does the picture show?

use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use vlp_objectives::loss::{argmax, cross_entropy};
use vlp_objectives::{Draft, Encoded, Losses, Needs, Objective, ObjectiveError, Tally};

const NAME: &str = "count";

/// Configuration of [`CountObjects`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CountConfig {
    /// Weight of the loss.
    pub weight: f64,
    /// Greatest count told apart, at least 1; pictures with more objects belong to this class.
    pub max: usize,
}

impl Default for CountConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            max: 4,
        }
    }
}

/// A linear head over the counts `0..=max`, on the mean of the image tokens.
#[derive(Module, Debug)]
pub struct CountObjects {
    head: Linear,
    #[module(skip)]
    weight: f64,
    #[module(skip)]
    max: usize,
}

impl CountConfig {
    /// Builds the head for states of width `d_model`.
    pub fn init(&self, d_model: usize, device: &Device) -> CountObjects {
        CountObjects {
            head: LinearConfig::new(d_model, self.max + 1).init(device),
            weight: self.weight,
            max: self.max,
        }
    }
}

impl CountObjects {
    /// Logits `[batch, max + 1]` from the image-only pass; padded tokens do not count.
    pub fn logits(&self, encoded: &Encoded<'_>) -> Result<Tensor<2>, ObjectiveError> {
        let memory = encoded.image(NAME)?;
        let [batch, tokens, width] = memory.states.dims();
        let real = memory.pad_mask.clone().bool_not().float();
        let states = memory.states.clone() * real.clone().reshape([batch, tokens, 1]);
        let sum = states.sum_dim(1).reshape([batch, width]);
        // The first token of a picture is never padding: nothing is divided by zero.
        Ok(self.head.forward(sum / real.sum_dim(1)))
    }

    /// Logits of the pictures whose count is known, with these counts.
    fn known(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Option<usize>],
    ) -> Result<(Tensor<2>, Vec<i32>), ObjectiveError> {
        let logits = self.logits(encoded)?;
        let known = |(row, count): (usize, &Option<usize>)| Some((row as i32, (*count)? as i32));
        let (rows, counts): (Vec<i32>, Vec<i32>) =
            targets.iter().enumerate().filter_map(known).unzip();
        if rows.is_empty() {
            return Ok((logits, counts));
        }
        let rows = Tensor::from_ints(rows.as_slice(), &logits.device());
        Ok((logits.select(0, rows), counts))
    }
}

impl Objective for CountObjects {
    /// The count, cut at `max`; `None` where it is not known.
    type Target = Option<usize>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs::IMAGE
    }

    fn prepare(&self, draft: &mut Draft<'_>) -> Result<Option<usize>, ObjectiveError> {
        let Some(objects) = &draft.example.objects else {
            return Ok(None);
        };
        // A crowd is one box around an unknown number of objects.
        let crowd = objects.iter().any(|object| object.crowd);
        Ok((!crowd).then(|| objects.len().min(self.max)))
    }

    fn loss(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Option<usize>],
    ) -> Result<Losses, ObjectiveError> {
        let (logits, counts) = self.known(encoded, targets)?;
        // Zero without counts.
        let value = cross_entropy(logits, &counts);
        Ok(Losses::one(NAME, self.weight, value))
    }

    fn evaluate(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Option<usize>],
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError> {
        let (logits, counts) = self.known(encoded, targets)?;
        for (guess, count) in argmax(logits).into_iter().zip(counts) {
            tally.count("count accuracy", guess == count as usize);
        }
        Ok(())
    }
}
