//! Image-text contrast: pictures and texts encoded apart, compared by a product (CLIP; ALBEF, NeurIPS 2021).

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::log_softmax;
use serde::{Deserialize, Serialize};
use vlp_ops::apply;
use vlp_transformer::TextBatch;

use crate::draft::Draft;
use crate::encoded::{Encoded, Needs};
use crate::error::ObjectiveError;
use crate::loss::argmax;
use crate::objective::{Losses, Objective};
use crate::tally::Tally;

const NAME: &str = "itc";

/// Least and greatest temperature (ALBEF).
const TEMPERATURES: [f64; 2] = [0.001, 0.5];

/// Configuration of [`Itc`]. Neither paper has this objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ItcConfig {
    /// Weight of the loss; 1 in ALBEF.
    pub weight: f64,
    /// Width of the compared vectors; 256 in ALBEF.
    pub dim: usize,
    /// Temperature that the products are divided by at first; learned, 0.07 in ALBEF.
    pub temperature: f64,
    /// Of a batch of all pairs (`data.all_pairs`), match only the true ones and, for every picture and every text, the
    /// false one that looks most alike: 3 t pairs instead of t x t. Costs a further pass of the trunk without gradients.
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
    hard: bool,
}

impl ItcConfig {
    /// Builds the head for states of width `d_model`.
    pub fn init(&self, d_model: usize, device: &Device) -> Itc {
        Itc {
            image: LinearConfig::new(d_model, self.dim).init(device),
            text: LinearConfig::new(d_model, self.dim).init(device),
            temperature: Param::from_tensor(Tensor::full([1], self.temperature, device)),
            weight: self.weight,
            hard: self.hard_negatives,
        }
    }
}

/// A picture's own text.
#[derive(Debug, Clone, PartialEq)]
pub struct ItcTarget {
    /// `[CLS]` ... `[SEP]`, nothing masked or replaced.
    pub ids: Vec<u32>,
    /// The picture's id: texts of one picture are not each other's opposites.
    pub key: u64,
    /// Padding token.
    pub pad: u32,
}

impl Itc {
    /// Vectors `[pictures, dim]` of length 1: the mean of the cells of the image-only pass.
    pub fn images(&self, encoded: &Encoded<'_>) -> Result<Tensor<2>, ObjectiveError> {
        let memory = encoded.image(NAME)?;
        let seen = memory
            .pad_mask
            .clone()
            .bool_not()
            .float()
            .unsqueeze_dim::<3>(2);
        let count = seen.clone().sum_dim(1).clamp_min(1.0);
        let mean = (memory.states.clone() * seen).sum_dim(1) / count;
        Ok(unit(apply(&self.image, mean.squeeze_dim(1))))
    }

    /// Vectors `[texts, dim]` of length 1: `[CLS]` of texts encoded without a picture.
    pub fn texts(
        &self,
        encoded: &Encoded<'_>,
        text: &TextBatch,
    ) -> Result<Tensor<2>, ObjectiveError> {
        let encoder = encoded.text_encoder.ok_or(ObjectiveError::Missing {
            objective: NAME,
            what: "an encoder of texts",
        })?;
        let states = encoder.encode_text(text).states;
        let [texts, _, width] = states.dims();
        let cls = states.slice(s![.., 0..1]).reshape([texts, width]);
        Ok(unit(apply(&self.text, cls)))
    }

    /// Products of every picture's vector with every text's, `[pictures, texts]`, in -1..1.
    fn products(
        &self,
        encoded: &Encoded<'_>,
        targets: &[ItcTarget],
    ) -> Result<Tensor<2>, ObjectiveError> {
        let images = self.images(encoded)?;
        let rows: Vec<&[u32]> = targets.iter().map(|t| t.ids.as_slice()).collect();
        let text = TextBatch::pack(
            &rows,
            targets.first().map_or(0, |t| t.pad),
            &images.device(),
        );
        Ok(images.matmul(self.texts(encoded, &text)?.transpose()))
    }
}

/// Rows of length 1.
fn unit(x: Tensor<2>) -> Tensor<2> {
    let norm = x.clone().powi_scalar(2).sum_dim(1).add_scalar(1e-12).sqrt();
    x / norm
}

/// Whether two targets are of one picture, or word for word the same.
fn alike(a: &ItcTarget, b: &ItcTarget) -> bool {
    a.key == b.key || a.ids == b.ids
}

impl Objective for Itc {
    type Target = ItcTarget;

    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs::IMAGE
    }

    fn prepare(&self, draft: &mut Draft<'_>) -> Result<ItcTarget, ObjectiveError> {
        let own = draft.example.texts.first().map_or("", String::as_str);
        Ok(ItcTarget {
            ids: draft.pieces.encode(own, draft.max_len).ids,
            key: draft.example.key,
            pad: draft.pieces.special().pad,
        })
    }

    /// Cross entropy of each picture's text among all texts and of each text's picture, mean of both. Texts of one picture
    /// share the truth.
    fn loss(&self, encoded: &Encoded<'_>, targets: &[ItcTarget]) -> Result<Losses, ObjectiveError> {
        let device = encoded.words.words().device();
        let count = targets.len();
        if count < 2 {
            return Ok(Losses::one(NAME, self.weight, Tensor::zeros([1], &device)));
        }
        let [low, high] = TEMPERATURES;
        let temperature = self.temperature.val().clamp(low, high);
        let logits = self.products(encoded, targets)? / temperature.reshape([1, 1]);
        let mut truth = vec![0.0_f32; count * count];
        for (i, own) in targets.iter().enumerate() {
            let of = targets.iter().filter(|other| alike(own, other)).count();
            for (j, other) in targets.iter().enumerate() {
                if alike(own, other) {
                    truth[i * count + j] = 1.0 / of as f32;
                }
            }
        }
        let truth = Tensor::<1>::from_floats(truth.as_slice(), &device).reshape([count, count]);
        let both = log_softmax(logits.clone(), 1) * truth.clone()
            + log_softmax(logits.transpose(), 1) * truth;
        let value = both.sum().neg().div_scalar(2.0 * count as f64);
        Ok(Losses::one(NAME, self.weight, value))
    }

    fn mines(&self) -> bool {
        self.hard
    }

    fn hard_pairs(
        &self,
        encoded: &Encoded<'_>,
        targets: &[ItcTarget],
    ) -> Result<Vec<(usize, usize)>, ObjectiveError> {
        let count = targets.len();
        let found: Vec<f32> = self
            .products(encoded, targets)?
            .into_data()
            .iter()
            .collect();
        let product = |image: usize, text: usize| found[image * count + text];
        let others = |of: usize| (0..count).filter(move |&at| !alike(&targets[of], &targets[at]));
        let mut pairs = vec![];
        for of in 0..count {
            let text = others(of).max_by(|&a, &b| product(of, a).total_cmp(&product(of, b)));
            let image = others(of).max_by(|&a, &b| product(a, of).total_cmp(&product(b, of)));
            pairs.extend(text.map(|text| (of, text)));
            pairs.extend(image.map(|image| (image, of)));
        }
        pairs.sort_unstable();
        pairs.dedup();
        Ok(pairs)
    }

    fn evaluate(
        &self,
        encoded: &Encoded<'_>,
        targets: &[ItcTarget],
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError> {
        if targets.len() < 2 {
            return Ok(());
        }
        for (own, best) in targets.iter().zip(argmax(self.products(encoded, targets)?)) {
            tally.count("ITC accuracy in the batch", alike(own, &targets[best]));
        }
        Ok(())
    }
}
