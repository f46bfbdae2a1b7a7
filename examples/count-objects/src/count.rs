//! Counting: how many objects does the image show?

use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use serde::{Deserialize, Serialize};
use vlp_objectives::loss::{cross_entropy, labeled_rows};
use vlp_objectives::{
    EncoderOutput, EncoderPasses, Losses, Objective, ObjectiveError, PairBuilder, Unit,
    init_weights, mean_metrics,
};
use vlp_transformer::Memory;

/// Configuration of [`CountObjects`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CountConfig {
    /// Weight of the loss.
    pub weight: f64,
    /// Greatest count, at least 1; images with more objects belong to this class.
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

init_weights!(CountObjects { head; weight, max });

mean_metrics! {
    /// Metrics of [`CountObjects`].
    pub struct CountMetrics {
        /// Fraction of images whose count is right.
        pub accuracy: "count/accuracy",
    }
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
    /// Logits `[images, max + 1]` of the image-only pass; padding is left out of the mean.
    pub fn logits(&self, image: &Memory) -> Tensor<2> {
        let [images, tokens, width] = image.states.dims();
        let weights = image.pad_mask.clone().bool_not().float();
        let states = image.states.clone() * weights.clone().reshape([images, tokens, 1]);
        let sum = states.sum_dim(1).reshape([images, width]);
        // The first token of an image is never padding, so the divisor is not zero.
        self.head.forward(sum / weights.sum_dim(1))
    }
}

impl Objective for CountObjects {
    const NAME: &'static str = "count";

    /// The count, at most `max`; `None` if it is unknown.
    type Target = Option<usize>;

    type Metrics = CountMetrics;

    fn unit(&self) -> Unit {
        Unit::Image
    }

    fn passes(&self) -> EncoderPasses {
        EncoderPasses::IMAGE
    }

    fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<Option<usize>, ObjectiveError> {
        let Some(objects) = &pair.example.objects else {
            return Ok(None);
        };
        // A crowd is one box around an unknown number of objects.
        let has_crowd = objects.iter().any(|object| object.crowd);
        Ok((!has_crowd).then(|| objects.len().min(self.max)))
    }

    fn loss(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&Option<usize>],
    ) -> Result<Losses, ObjectiveError> {
        let logits = self.logits(output.image());
        let (logits, counts) = labeled_rows(logits, targets.iter().map(|&&count| count));
        let value = cross_entropy(logits, &counts);
        Ok(Losses::single(Self::NAME, self.weight, value))
    }

    fn evaluate(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&Option<usize>],
        metrics: &mut CountMetrics,
    ) -> Result<(), ObjectiveError> {
        let logits = self.logits(output.image());
        let (logits, counts) = labeled_rows(logits, targets.iter().map(|&&count| count));
        metrics.accuracy.record_argmax(logits, &counts);
        Ok(())
    }
}
