//! Losses of matched sets (DETR, `SetCriterion`), all decoder layers at once.

use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::activation::log_softmax;
use vlp_ops::log_prob;

use super::boxes::{cxcywh_to_xyxy, giou};
use super::heads::DetectionOutput;
use super::matcher::Pairs;
use super::target::DetectionTarget;

/// Sums over a batch with what to divide them by, so that several vocabularies add up to one mean.
#[derive(Debug, Clone)]
pub struct SetSums {
    /// Weighted cross entropies of classes, `[layers]`.
    pub class: Tensor<1>,
    /// Sum of the class weights: one a matched query, `no_object` every other.
    pub class_weight: f64,
    /// L1 distances of matched boxes, `[layers]`.
    pub l1: Tensor<1>,
    /// `1 - GIoU` of matched boxes, `[layers]`.
    pub giou: Tensor<1>,
    /// Number of objects, found a query or not (DETR, `num_boxes`).
    pub boxes: usize,
    /// Mean cross entropy of each matched object's attributes, summed, `[layers]`.
    pub attribute: Tensor<1>,
    /// Matched objects that have attributes.
    pub attributed: usize,
}

impl SetSums {
    /// Sums of `output` for `pairs[layer][picture]`; queries without an object weigh `no_object`.
    pub fn new(
        output: &DetectionOutput,
        targets: &[&DetectionTarget],
        pairs: &[Vec<Pairs>],
        no_object: f64,
    ) -> Self {
        let [layers, batch, queries, classes] = output.logits.dims();
        let device = output.logits.device();
        let rows = layers * batch * queries;
        let attributes = output.attributes.as_ref().map_or(0, |a| a.dims()[3]);
        let mut labels = vec![classes as i32 - 1; rows];
        let mut weights = vec![no_object as f32; rows];
        let (mut at, mut boxes) = (vec![], vec![]);
        let (mut shares, mut attributed) = (vec![], 0);
        for (layer, images) in pairs.iter().enumerate() {
            for (image, (pairs, target)) in images.iter().zip(targets).enumerate() {
                for &(query, object) in pairs {
                    let row = (layer * batch + image) * queries + query;
                    let object = &target.objects[object];
                    (labels[row], weights[row]) = (object.class as i32, 1.0);
                    at.push(row as i32);
                    boxes.extend(object.bbox);
                    let mut share = vec![0f32; attributes];
                    for &attribute in object.attributes.iter().filter(|&&a| a < attributes) {
                        share[attribute] = 1.0 / object.attributes.len() as f32;
                    }
                    attributed += usize::from(attributes > 0 && !object.attributes.is_empty());
                    shares.extend(share);
                }
            }
        }
        let matched = at.len() / layers;
        let by_layer = |t: Tensor<2>| -> Tensor<1> { t.sum_dim(1).squeeze_dim(1) };
        let zero = Tensor::zeros([layers], &device);
        let chosen = log_prob(output.logits.clone().reshape([rows, classes]), &labels);
        let weights: Tensor<2> =
            Tensor::from_data(TensorData::new(weights, [layers, batch * queries]), &device);
        let class = by_layer(chosen.reshape([layers, batch * queries]) * weights).neg();
        let mut sums = Self {
            class,
            class_weight: matched as f64 + no_object * (batch * queries - matched) as f64,
            l1: zero.clone(),
            giou: zero.clone(),
            boxes: targets.iter().map(|t| t.objects.len()).sum(),
            attribute: zero,
            attributed: attributed / layers,
        };
        if matched == 0 {
            return sums;
        }
        let at: Tensor<1, Int> = Tensor::from_ints(at.as_slice(), &device);
        let found = output
            .boxes
            .clone()
            .reshape([rows, 4])
            .select(0, at.clone());
        let wanted: Tensor<2> =
            Tensor::from_data(TensorData::new(boxes, [layers * matched, 4]), &device);
        sums.l1 = by_layer(
            (found.clone() - wanted.clone())
                .abs()
                .reshape([layers, matched * 4]),
        );
        let overlap = giou(cxcywh_to_xyxy(found), cxcywh_to_xyxy(wanted));
        sums.giou = by_layer(overlap.neg().add_scalar(1.0).reshape([layers, matched]));
        if let Some(logits) = output.attributes.as_ref().filter(|_| attributed > 0) {
            let log_p = log_softmax(logits.clone().reshape([rows, attributes]).select(0, at), 1);
            let shares: Tensor<2> = Tensor::from_data(
                TensorData::new(shares, [layers * matched, attributes]),
                &device,
            );
            sums.attribute =
                by_layer((log_p * shares).reshape([layers, matched * attributes])).neg();
        }
        sums
    }

    /// Adds the sums of another vocabulary's pictures.
    pub fn plus(self, other: Self) -> Self {
        Self {
            class: self.class + other.class,
            class_weight: self.class_weight + other.class_weight,
            l1: self.l1 + other.l1,
            giou: self.giou + other.giou,
            boxes: self.boxes + other.boxes,
            attribute: self.attribute + other.attribute,
            attributed: self.attributed + other.attributed,
        }
    }

    /// (name, means `[layers]`) of the four terms; a term without entries is zero.
    pub fn means(self) -> [(&'static str, Tensor<1>); 4] {
        let boxes = self.boxes.max(1) as f64;
        [
            (
                "class",
                self.class
                    .div_scalar(self.class_weight.max(f64::MIN_POSITIVE)),
            ),
            ("l1", self.l1.div_scalar(boxes)),
            ("giou", self.giou.div_scalar(boxes)),
            (
                "attribute",
                self.attribute.div_scalar(self.attributed.max(1) as f64),
            ),
        ]
    }
}
