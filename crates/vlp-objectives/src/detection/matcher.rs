//! Bipartite matching of queries and objects (DETR, `matcher.py`), on the CPU for a whole batch at once.

use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::activation::softmax;
use getset::WithSetters;
use serde::{Deserialize, Serialize};
use vlp_assign::Hungarian;
use vlp_ops::to_cpu;

use super::boxes::{corners, overlap};
use super::heads::DetectionOutput;
use super::target::DetectionTarget;
use crate::error::ObjectiveError;

/// Weights of the matching cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields, default)]
pub struct MatchCost {
    /// Minus the probability of the object's class; 1 in DETR.
    pub class: f64,
    /// L1 distance of center and size; 5 in DETR.
    pub l1: f64,
    /// Minus the generalized IoU; 2 in DETR.
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

/// (query, object) pairs of one image at one decoder layer, sorted by query.
pub type Pairs = Vec<(usize, usize)>;

/// Finds the one-to-one assignment of objects to queries with the lowest cost.
#[derive(Debug, Default)]
pub struct Matcher {
    solver: Hungarian,
}

impl Matcher {
    /// Pairs of every layer and image: `pairs[layer][image]`.
    ///
    /// # Errors
    /// As [`Self::assign_all`].
    pub fn assign(
        &mut self,
        output: &DetectionOutput,
        targets: &[&DetectionTarget],
        cost: &MatchCost,
    ) -> Result<Vec<Vec<Pairs>>, ObjectiveError> {
        let mut pairs = self.assign_all([(output, targets)], cost)?;
        Ok(pairs.remove(0))
    }

    /// [`Self::assign`] for the predictions and targets of several vocabularies.
    ///
    /// Copies from the device once: the probabilities of the objects' classes are gathered on the device and copied
    /// together with the boxes.
    ///
    /// # Errors
    /// [`ObjectiveError::NonFinite`] for a prediction that is NaN or infinite.
    pub fn assign_all<'a>(
        &mut self,
        groups: impl IntoIterator<Item = (&'a DetectionOutput, &'a [&'a DetectionTarget])>,
        cost: &MatchCost,
    ) -> Result<Vec<Vec<Vec<Pairs>>>, ObjectiveError> {
        let groups: Vec<_> = groups.into_iter().collect();
        let max_objects = |targets: &[&DetectionTarget]| {
            let objects = targets.iter().map(|target| target.objects.len());
            objects.max().unwrap_or(0)
        };
        let rows = groups.iter().filter_map(|(output, targets)| {
            let max_objects = max_objects(targets);
            (max_objects > 0).then(|| gather(output, targets, cost, max_objects).reshape([-1]))
        });
        let rows: Vec<Tensor<1>> = rows.collect();
        let rows: Vec<f32> = match rows.is_empty() {
            true => vec![],
            false => to_cpu(Tensor::cat(rows, 0)).iter().collect(),
        };
        let mut rest = &rows[..];
        let mut pairs = vec![];
        for (output, targets) in groups {
            let [layers, batch, queries, _] = output.logits.dims();
            let max_objects = max_objects(targets);
            if max_objects == 0 {
                pairs.push(vec![vec![vec![]; batch]; layers]);
                continue;
            }
            let (rows, others) = rest.split_at(layers * batch * queries * (max_objects + 4));
            rest = others;
            pairs.push(self.assign_rows(rows, [layers, queries], targets, max_objects, cost)?);
        }
        Ok(pairs)
    }

    /// Pairs by the rows that [`gather`] has made.
    fn assign_rows(
        &mut self,
        rows: &[f32],
        [layers, queries]: [usize; 2],
        targets: &[&DetectionTarget],
        max_objects: usize,
        cost: &MatchCost,
    ) -> Result<Vec<Vec<Pairs>>, ObjectiveError> {
        let batch = targets.len();
        let columns = max_objects + 4;
        let mut pairs = vec![Vec::with_capacity(batch); layers];
        let mut matrix = vec![];
        for (layer, layer_pairs) in pairs.iter_mut().enumerate() {
            for (image, target) in targets.iter().enumerate() {
                matrix.clear();
                for query in 0..queries {
                    let start = ((layer * batch + image) * queries + query) * columns;
                    let (gains, bbox) = rows[start..start + columns].split_at(max_objects);
                    let bbox = [bbox[0], bbox[1], bbox[2], bbox[3]];
                    for (object, gain) in target.objects.iter().zip(gains) {
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
                let assignment = self.solver.assign(&matrix, queries, target.objects.len());
                layer_pairs.push(assignment.map_err(|source| ObjectiveError::NonFinite {
                    objective: "detection",
                    image,
                    source,
                })?);
            }
        }
        Ok(pairs)
    }
}

/// For each layer, image and query, `max_objects` weighted probabilities (class and attributes) and 4 box values.
fn gather(
    output: &DetectionOutput,
    targets: &[&DetectionTarget],
    cost: &MatchCost,
    max_objects: usize,
) -> Tensor<4> {
    let [layers, batch, queries, _] = output.logits.dims();
    let device = output.logits.device();
    let mut labels = vec![0i32; batch * max_objects];
    for (labels, target) in labels.chunks_mut(max_objects).zip(targets) {
        for (label, object) in labels.iter_mut().zip(&target.objects) {
            *label = object.class as i32;
        }
    }
    let labels: Tensor<4, Int> =
        Tensor::from_data(TensorData::new(labels, [1, batch, 1, max_objects]), &device);
    let labels = labels.expand([layers, batch, queries, max_objects]);
    let probability = softmax(output.logits.clone().without_autodiff(), 3);
    let mut gain = probability
        .gather(3, labels.without_autodiff())
        .mul_scalar(cost.class);
    if let Some(logits) = output.attributes.as_ref().filter(|_| cost.attribute != 0.0) {
        let attributes = logits.dims()[3];
        let mut weights = vec![0f32; batch * attributes * max_objects];
        for (image, target) in targets.iter().enumerate() {
            for (column, object) in target.objects.iter().enumerate() {
                for &attribute in &object.attributes {
                    let index = (image * attributes + attribute) * max_objects + column;
                    weights[index] = cost.attribute as f32 / object.attributes.len() as f32;
                }
            }
        }
        let shape = [1, batch, attributes, max_objects];
        let weights: Tensor<4> = Tensor::from_data(TensorData::new(weights, shape), &device);
        let weights = weights.without_autodiff();
        let weights = weights.expand([layers, batch, attributes, max_objects]);
        let probability = softmax(logits.clone().without_autodiff(), 3);
        gain = gain + probability.matmul(weights);
    }
    Tensor::cat(vec![gain, output.boxes.clone().without_autodiff()], 3)
}
