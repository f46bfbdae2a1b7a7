//! Losses of matched sets (DETR, `SetCriterion`), all decoder layers at once.

use std::ops::Add;

use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::activation::log_softmax;
use vlp_ops::log_prob;

use super::boxes::{cxcywh_to_xyxy, giou};
use super::heads::DetectionOutput;
use super::matcher::Pairs;
use super::target::DetectionTarget;
use crate::loss::tracked_zeros;

/// Sums over a batch and their divisors, so that the sums of several vocabularies can be added before they are divided into
/// means.
#[derive(Debug, Clone)]
pub struct SetLossSums {
    /// Weighted cross entropies of classes, `[layers]`.
    pub class: Tensor<1>,
    /// Sum of the class weights: 1 for a matched query, `no_object` for every other.
    pub class_weight: f64,
    /// L1 distances of matched boxes, `[layers]`.
    pub l1: Tensor<1>,
    /// `1 - GIoU` of matched boxes, `[layers]`.
    pub giou: Tensor<1>,
    /// Number of objects, matched or not (DETR, `num_boxes`).
    pub boxes: usize,
    /// Mean cross entropy of each matched object's attributes, summed, `[layers]`.
    pub attribute: Tensor<1>,
    /// Number of matched objects that have attributes.
    pub attributed: usize,
}

impl SetLossSums {
    /// Sums of `output` for `pairs[layer][image]`; queries without an object have the class weight `no_object`.
    ///
    /// Without matched objects, and without attributes of them, the gradients of boxes and of attributes are zero (DETR).
    pub fn new(
        output: &DetectionOutput,
        targets: &[&DetectionTarget],
        pairs: &[Vec<Pairs>],
        no_object: f64,
    ) -> Self {
        let [layers, batch, queries, classes] = output.logits.dims();
        let device = output.logits.device();
        let rows = layers * batch * queries;
        let attributes = output
            .attributes
            .as_ref()
            .map_or(0, |logits| logits.dims()[3]);
        let mut labels = vec![classes as i32 - 1; rows];
        let mut weights = vec![no_object as f32; rows];
        let (mut matched_rows, mut boxes) = (vec![], vec![]);
        let (mut attribute_labels, mut attributed) = (vec![], 0);
        for (layer, images) in pairs.iter().enumerate() {
            for (image, (pairs, target)) in images.iter().zip(targets).enumerate() {
                for &(query, object) in pairs {
                    let row = (layer * batch + image) * queries + query;
                    let object = &target.objects[object];
                    (labels[row], weights[row]) = (object.class as i32, 1.0);
                    matched_rows.push(row as i32);
                    boxes.extend(object.bbox);
                    let mut label = vec![0f32; attributes];
                    for &attribute in object.attributes.iter().filter(|&&a| a < attributes) {
                        label[attribute] = 1.0 / object.attributes.len() as f32;
                    }
                    attributed += usize::from(attributes > 0 && !object.attributes.is_empty());
                    attribute_labels.extend(label);
                }
            }
        }
        let matched = matched_rows.len() / layers;
        let by_layer = |tensor: Tensor<2>| -> Tensor<1> { tensor.sum_dim(1).squeeze_dim(1) };
        let zeros = |predictions: &Tensor<4>| {
            let width = predictions.dims()[3];
            let first = predictions.clone().slice(s![.., 0..1, 0..1, ..]);
            tracked_zeros(first.reshape([layers, width]))
        };
        let log_probs = log_prob(output.logits.clone().reshape([rows, classes]), &labels);
        let weights: Tensor<2> =
            Tensor::from_data(TensorData::new(weights, [layers, batch * queries]), &device);
        let class = by_layer(log_probs.reshape([layers, batch * queries]) * weights).neg();
        let mut sums = Self {
            class,
            class_weight: matched as f64 + no_object * (batch * queries - matched) as f64,
            l1: Tensor::zeros([layers], &device),
            giou: Tensor::zeros([layers], &device),
            boxes: targets.iter().map(|target| target.objects.len()).sum(),
            attribute: Tensor::zeros([layers], &device),
            attributed: attributed / layers,
        };
        if let Some(logits) = output.attributes.as_ref().filter(|_| attributed == 0) {
            sums.attribute = zeros(logits);
        }
        if matched == 0 {
            sums.l1 = zeros(&output.boxes);
            sums.giou = sums.l1.clone();
            return sums;
        }
        let matched_rows: Tensor<1, Int> = Tensor::from_ints(matched_rows.as_slice(), &device);
        let predicted_boxes = output.boxes.clone().reshape([rows, 4]);
        let predicted_boxes = predicted_boxes.select(0, matched_rows.clone());
        let true_boxes: Tensor<2> =
            Tensor::from_data(TensorData::new(boxes, [layers * matched, 4]), &device);
        let distances = (predicted_boxes.clone() - true_boxes.clone()).abs();
        sums.l1 = by_layer(distances.reshape([layers, matched * 4]));
        let overlap = giou(cxcywh_to_xyxy(predicted_boxes), cxcywh_to_xyxy(true_boxes));
        sums.giou = by_layer(overlap.neg().add_scalar(1.0).reshape([layers, matched]));
        if let Some(logits) = output.attributes.as_ref().filter(|_| attributed > 0) {
            let logits = logits.clone().reshape([rows, attributes]);
            let log_probs = log_softmax(logits.select(0, matched_rows), 1);
            let labels: Tensor<2> = Tensor::from_data(
                TensorData::new(attribute_labels, [layers * matched, attributes]),
                &device,
            );
            let cross_entropies = (log_probs * labels).reshape([layers, matched * attributes]);
            sums.attribute = by_layer(cross_entropies).neg();
        }
        sums
    }

    /// (name, means `[layers]`) of the four terms; a term without entries is zero.
    pub fn means(self) -> [(&'static str, Tensor<1>); 4] {
        // Without weights the sum is zero; smaller divisors are zero in f32.
        let has_weight = self.class_weight >= f64::from(f32::MIN_POSITIVE);
        let class_weight = if has_weight { self.class_weight } else { 1.0 };
        let boxes = self.boxes.max(1) as f64;
        let attributed = self.attributed.max(1) as f64;
        [
            ("class", self.class.div_scalar(class_weight)),
            ("l1", self.l1.div_scalar(boxes)),
            ("giou", self.giou.div_scalar(boxes)),
            ("attribute", self.attribute.div_scalar(attributed)),
        ]
    }
}

/// The sums of the images of both vocabularies.
impl Add for SetLossSums {
    type Output = Self;

    fn add(self, other: Self) -> Self {
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
}
