//! Image-text contrast: similarities of images and texts that are encoded separately (CLIP; ALBEF, NeurIPS 2021).

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::log_softmax;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_ops::{init_weights, linear_layer, matmul, to_cpu};
use vlp_transformer::Memory;

use crate::encoder_output::{EncoderOutput, TextStates};
use crate::error::ObjectiveError;
use crate::loss::{argmax, normalize_rows, zero};
use crate::miner::NegativeMiner;
use crate::objective::{Losses, Objective};
use crate::pair_builder::PairBuilder;
use crate::passes::EncoderPasses;
use crate::target_tensors::{TargetTensors, floats};
use crate::targets::Unit;
use crate::validate::{Check, RunContext, Validate};

/// Minimum and maximum temperature (ALBEF).
const TEMPERATURES: [f64; 2] = [0.001, 0.5];

/// Configuration of [`Itc`], which neither E2E-VLP nor SOHO has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields, default)]
pub struct ItcConfig {
    /// Weight of the loss; 1 in ALBEF.
    pub weight: f64,
    /// Width of the compared embeddings; 256 in ALBEF.
    pub dim: usize,
    /// Initial value of the learned temperature, which divides the similarities and is kept in 0.001 to 0.5; 0.07 in
    /// ALBEF.
    pub temperature: f64,
    /// With a batch of all pairs (`data.all_pairs`), run the joint pass only for the positive pairs and, for every image and
    /// every text, the most similar negative: 3 n pairs instead of n x n. Costs another pass of the backbone without
    /// gradients.
    pub hard_negatives: bool,
}

impl Default for ItcConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            dim: 256,
            temperature: 0.07,
            hard_negatives: false,
        }
    }
}

/// Two projections and a temperature.
#[derive(Module, Debug)]
pub struct Itc {
    image: Linear,
    text: Linear,
    temperature: Param<Tensor<1>>,
    #[module(skip)]
    weight: f64,
    #[module(skip)]
    hard_negatives: bool,
}

init_weights!(Itc { image, text; temperature, weight, hard_negatives });

crate::mean_metrics! {
    /// Metrics of [`Itc`].
    pub struct ItcMetrics {
        /// Fraction of images for which the most similar text of the batch is a positive.
        pub accuracy: "itc/batch_accuracy",
    }
}

impl Validate for ItcConfig {
    fn validate(&self, check: &Check, run: &RunContext) -> Result<(), ObjectiveError> {
        check.at_least("dim", self.dim, 1, " (256 in ALBEF)")?;
        let [low, high] = TEMPERATURES;
        if !(low..=high).contains(&self.temperature) {
            let hint = format!("use a temperature of {low} to {high} (0.07 in ALBEF)");
            return check.fail("temperature", self.temperature, hint);
        }
        if self.hard_negatives && !run.all_pairs {
            let hint = "mines negatives among all pairs: set data.all_pairs=true as well";
            return check.fail("hard_negatives", true, hint);
        }
        Ok(())
    }
}

impl ItcConfig {
    /// Builds the head for states of width `d_model`.
    ///
    /// Initial weights are burn's defaults; `vlp_models::initialize` sets those of the published models.
    pub fn init(&self, d_model: usize, device: &Device) -> Itc {
        Itc {
            image: LinearConfig::new(d_model, self.dim).init(device),
            text: LinearConfig::new(d_model, self.dim).init(device),
            temperature: Param::from_tensor(Tensor::full([1], self.temperature, device)),
            weight: self.weight,
            hard_negatives: self.hard_negatives,
        }
    }
}

/// The unmodified text of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct ItcTarget {
    /// `[CLS]` ... `[SEP]`.
    pub ids: Vec<u32>,
    /// The image's id: texts of one image are not negatives of each other.
    pub key: u64,
}

impl ItcTarget {
    /// Whether the other's text is a positive for this image: both belong to one image, or the texts are equal.
    fn is_positive(&self, other: &Self) -> bool {
        self.key == other.key || self.ids == other.ids
    }
}

impl Itc {
    /// Embeddings `[images, dim]` of Euclidean length 1: the projected mean of the tokens of the image-only pass.
    pub fn image_embeddings(&self, image: &Memory) -> Tensor<2> {
        let weights = image
            .pad_mask
            .clone()
            .bool_not()
            .float()
            .unsqueeze_dim::<3>(2);
        let count = weights.clone().sum_dim(1).clamp_min(1.0);
        let mean = (image.states.clone() * weights).sum_dim(1) / count;
        normalize_rows(linear_layer(&self.image, mean.squeeze_dim(1)))
    }

    /// Embeddings `[texts, dim]` of Euclidean length 1: the projected `[CLS]` states of the text-only pass.
    pub fn text_embeddings(&self, text: &TextStates) -> Tensor<2> {
        normalize_rows(linear_layer(&self.text, text.cls()))
    }

    /// Cosine similarities of every image with every text, `[images, texts]`.
    fn similarities(&self, output: &EncoderOutput<'_>) -> Tensor<2> {
        let images = self.image_embeddings(output.image());
        matmul(images, self.text_embeddings(output.text()).transpose())
    }
}

/// The target probability of every text for every image, row-major: split equally among the positives of an image.
fn labels(targets: &[&ItcTarget]) -> Vec<f32> {
    let count = targets.len();
    let mut labels = vec![0.0_f32; count * count];
    for (row, target) in labels.chunks_mut(count).zip(targets) {
        let positives = targets
            .iter()
            .filter(|other| target.is_positive(other))
            .count();
        for (label, other) in row.iter_mut().zip(targets) {
            if target.is_positive(other) {
                *label = 1.0 / positives as f32;
            }
        }
    }
    labels
}

impl Objective for Itc {
    const NAME: &'static str = "itc";

    type Target = ItcTarget;

    type Metrics = ItcMetrics;

    fn unit(&self) -> Unit {
        Unit::Image
    }

    fn passes(&self) -> EncoderPasses {
        EncoderPasses::IMAGE.union(EncoderPasses::TEXT)
    }

    fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<ItcTarget, ObjectiveError> {
        let text = pair.example.texts.first().map_or("", String::as_str);
        Ok(ItcTarget {
            ids: pair.tokenizer.encode(text, pair.max_text_len).ids,
            key: pair.example.key,
        })
    }

    fn target_tensors(&self, targets: &[&ItcTarget], _: usize, device: &Device) -> TargetTensors {
        match targets.len() < 2 {
            true => TargetTensors::default(),
            false => {
                let labels = Tensor::<1>::from_floats(labels(targets).as_slice(), device);
                vec![labels.into()].into()
            }
        }
    }

    /// Mean of the image-to-text and the text-to-image cross entropy over the batch. If a row has several positives,
    /// the target probability is split equally among them. Zero for a batch of one image.
    fn loss(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&ItcTarget],
    ) -> Result<Losses, ObjectiveError> {
        let device = output.image().states.device();
        let count = targets.len();
        if count < 2 {
            return Ok(Losses::single(Self::NAME, self.weight, zero(&device)));
        }
        let [low, high] = TEMPERATURES;
        let temperature = self.temperature.val();
        // With the gradient of the clamp, zero outside of the bounds, a temperature that has left them would stay there.
        let clamped = temperature.clone().clamp(low, high).detach();
        let temperature = clamped + (temperature.clone() - temperature.detach());
        let logits = self.similarities(output) / temperature.reshape([1, 1]);
        let tensors = output.target_tensors(Self::NAME).first();
        let labels = match tensors {
            Some(labels) => floats(labels.tensor::<1, Float>(), &device),
            None => Tensor::<1>::from_floats(labels(targets).as_slice(), &device),
        };
        let labels = labels.reshape([count, count]);
        let sum = log_softmax(logits.clone(), 1) * labels.clone()
            + log_softmax(logits.transpose(), 1) * labels;
        let sum = match tensors {
            // burn adds up a whole tensor in no fixed order on a GPU.
            Some(_) => sum.reshape([count * count]).sum_dim(0),
            None => sum.sum(),
        };
        let value = sum.neg().div_scalar(2.0 * count as f64);
        Ok(Losses::single(Self::NAME, self.weight, value))
    }

    fn evaluate(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&ItcTarget],
        metrics: &mut ItcMetrics,
    ) -> Result<(), ObjectiveError> {
        if targets.len() < 2 {
            return Ok(());
        }
        for (target, text) in targets.iter().zip(argmax(self.similarities(output))) {
            metrics
                .accuracy
                .record_correct(target.is_positive(targets[text]));
        }
        Ok(())
    }

    fn miner<'a>(&'a self, targets: Vec<&'a ItcTarget>) -> Option<Box<dyn NegativeMiner + 'a>> {
        let miner = ItcMiner { itc: self, targets };
        self.hard_negatives
            .then(|| Box::new(miner) as Box<dyn NegativeMiner>)
    }
}

/// The most similar negative of every image and of every text.
struct ItcMiner<'a> {
    itc: &'a Itc,
    targets: Vec<&'a ItcTarget>,
}

impl NegativeMiner for ItcMiner<'_> {
    fn passes(&self) -> EncoderPasses {
        self.itc.passes()
    }

    fn mine_hard_negatives(&self, output: &EncoderOutput<'_>) -> Vec<(usize, usize)> {
        let count = self.targets.len();
        let similarities = to_cpu(self.itc.similarities(output));
        let similarities: Vec<f32> = similarities.iter().collect();
        let similarity = |image: usize, text: usize| similarities[image * count + text];
        let negatives = |index: usize| {
            let target = self.targets[index];
            (0..count).filter(move |&other| !target.is_positive(self.targets[other]))
        };
        let mut pairs = vec![];
        for index in 0..count {
            let text = negatives(index)
                .max_by(|&a, &b| similarity(index, a).total_cmp(&similarity(index, b)));
            let image = negatives(index)
                .max_by(|&a, &b| similarity(a, index).total_cmp(&similarity(b, index)));
            pairs.extend(text.map(|text| (index, text)));
            pairs.extend(image.map(|image| (image, index)));
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }
}
