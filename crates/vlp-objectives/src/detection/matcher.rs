//! Which query answers for which object (DETR, `matcher.py`), on the CPU for a whole batch at once.

use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};
use vlp_assign::Hungarian;

use super::boxes::{corners, overlap};
use super::heads::DetectionOutput;
use super::target::DetectionTarget;
use crate::error::ObjectiveError;

/// Weights of the matching cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchCost {
    /// Minus the probability of the object's class; 1 in DETR.
    pub class: f64,
    /// L1 distance of centre and size; 5 in DETR.
    pub l1: f64,
    /// Minus the generalised IoU; 2 in DETR.
    pub giou: f64,
    /// Minus the mean probability of the object's attributes; 0 (DETR has none).
    pub attribute: f64,
}

impl Default for MatchCost {
    fn default() -> Self {
        Self {
            class: 1.0,
            l1: 5.0,
            giou: 2.0,
            attribute: 0.0,
        }
    }
}

/// (query, object) pairs of one picture at one decoder layer, sorted by query.
pub type Pairs = Vec<(usize, usize)>;

/// Finds the cheapest one-to-one assignment of objects to queries.
#[derive(Debug, Default)]
pub struct Matcher {
    solver: Hungarian,
}

impl Matcher {
    /// Pairs of every layer and picture: `pairs[layer][picture]`.
    ///
    /// One device-to-host copy for the batch: the probabilities of the objects' own classes are gathered
    /// on the device and travel with the boxes.
    pub fn assign(
        &mut self,
        output: &DetectionOutput,
        targets: &[&DetectionTarget],
        cost: &MatchCost,
    ) -> Result<Vec<Vec<Pairs>>, ObjectiveError> {
        let [layers, batch, queries, _] = output.logits.dims();
        let most = targets.iter().map(|t| t.objects.len()).max().unwrap_or(0);
        if most == 0 {
            return Ok(vec![vec![vec![]; batch]; layers]);
        }
        let host = gather(output, targets, cost, most);
        let columns = most + 4;
        let mut pairs = vec![Vec::with_capacity(batch); layers];
        let mut matrix = vec![];
        for (layer, found) in pairs.iter_mut().enumerate() {
            for (image, target) in targets.iter().enumerate() {
                let objects = target.objects.len();
                matrix.clear();
                for query in 0..queries {
                    let at = ((layer * batch + image) * queries + query) * columns;
                    let row = &host[at..at + columns];
                    let bbox = [row[most], row[most + 1], row[most + 2], row[most + 3]];
                    for (object, gain) in target.objects.iter().zip(row) {
                        let l1: f32 = bbox
                            .iter()
                            .zip(&object.bbox)
                            .map(|(a, b)| (a - b).abs())
                            .sum();
                        let (_, giou) = overlap(corners(bbox), corners(object.bbox));
                        matrix.push(
                            cost.l1 * f64::from(l1)
                                - f64::from(*gain)
                                - cost.giou * f64::from(giou),
                        );
                    }
                }
                found.push(
                    self.solver
                        .assign(&matrix, queries, objects)
                        .map_err(|source| ObjectiveError::NonFinite {
                            objective: "detection",
                            image,
                            source,
                        })?,
                );
            }
        }
        Ok(pairs)
    }
}

/// Rows of `most` weighted probabilities (class and attributes) and 4 box values, on the host.
fn gather(
    output: &DetectionOutput,
    targets: &[&DetectionTarget],
    cost: &MatchCost,
    most: usize,
) -> Vec<f32> {
    let [layers, batch, queries, classes] = output.logits.dims();
    let device = output.logits.device();
    let mut labels = vec![0i32; batch * most];
    for (image, target) in targets.iter().enumerate() {
        for (object, at) in target.objects.iter().zip(image * most..) {
            labels[at] = object.class as i32;
        }
    }
    let labels: Tensor<4, Int> =
        Tensor::from_data(TensorData::new(labels, [1, batch, 1, most]), &device);
    let labels = labels.expand([layers, batch, queries, most]);
    let probability = softmax(
        output
            .logits
            .clone()
            .without_autodiff()
            .reshape([layers, batch, queries, classes]),
        3,
    );
    let mut gain = probability
        .gather(3, labels.without_autodiff())
        .mul_scalar(cost.class);
    if let Some(logits) = output.attributes.as_ref().filter(|_| cost.attribute != 0.0) {
        let attributes = logits.dims()[3];
        let mut shares = vec![0f32; batch * attributes * most];
        for (image, target) in targets.iter().enumerate() {
            for (column, object) in target.objects.iter().enumerate() {
                for &attribute in &object.attributes {
                    let at = (image * attributes + attribute) * most + column;
                    shares[at] = cost.attribute as f32 / object.attributes.len() as f32;
                }
            }
        }
        let shares: Tensor<4> = Tensor::from_data(
            TensorData::new(shares, [1, batch, attributes, most]),
            &device,
        );
        let probability = softmax(logits.clone().without_autodiff(), 3);
        gain = gain
            + probability.matmul(
                shares
                    .without_autodiff()
                    .expand([layers, batch, attributes, most]),
            );
    }
    let rows = Tensor::cat(vec![gain, output.boxes.clone().without_autodiff()], 3);
    rows.into_data().iter().collect()
}
