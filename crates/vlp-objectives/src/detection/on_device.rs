//! Matching and losses on a GPU, without reading anything from it: every tensor has the size that its capacity gives, and the
//! matching is a tensor of indices.
//!
//! Each query takes label, box and weights of its object from tables, whose last row is that of a query without one. The
//! divisors of the means are in the weights.

use burn::prelude::*;
use burn::tensor::activation::{log_softmax, softmax};
use vlp_ops::{
    Assignment, BoxCost, assign, box_losses, constant_ints, f32_matmul, log_prob_at,
    pairwise_box_cost,
};

use super::heads::DetectionOutput;
use super::matcher::MatchCost;
use super::tables::Tables;
use super::terms::Means;
use crate::target_tensors::floats;

/// Means of the losses of the predictions for all images, one for each of the `tables`; `None` for tensors that are not f32 on
/// a GPU, and more queries than the matching takes.
///
/// A cost that is not finite makes the class loss NaN.
pub(super) fn means(
    outputs: &[DetectionOutput],
    tables: &[Tables],
    cost: &MatchCost,
) -> Option<Means> {
    let groups = outputs.iter().zip(tables);
    let groups = groups.map(|(output, tables)| group_means(output, tables, cost));
    let groups: Vec<Means> = groups.collect::<Option<_>>()?;
    groups.into_iter().reduce(|sums, others| {
        let mut others = others.into_iter();
        sums.map(|(name, sum)| match others.next() {
            Some((_, other)) => (name, sum + other),
            None => (name, sum),
        })
    })
}

/// The object of every query of every layer.
fn assign_objects(
    output: &DetectionOutput,
    tables: &Tables,
    cost: &MatchCost,
) -> Option<Assignment> {
    let [layers, batch, queries, _] = output.logits.dims();
    let rows = tables.rows();
    let probabilities = softmax(output.logits.clone().without_autodiff(), 3);
    let labels = tables.classes.clone().reshape([1, batch, 1, rows]);
    let labels = labels.expand([layers, batch, queries, rows]);
    let mut gains = probabilities.gather(3, labels).mul_scalar(cost.class);
    if let (Some(logits), Some(fractions)) = (&output.attributes, &tables.attribute_fractions) {
        let fractions = fractions.clone().swap_dims(1, 2).unsqueeze::<4>();
        let attributes = fractions.dims()[2];
        let fractions = fractions.expand([layers, batch, attributes, rows]);
        let probabilities = softmax(logits.clone().without_autodiff(), 3);
        gains = gains + f32_matmul(probabilities, fractions).mul_scalar(cost.attribute);
    }
    let problems = layers * batch;
    let boxes = output.boxes.clone().without_autodiff();
    let costs = pairwise_box_cost(
        boxes.reshape([problems, queries, 4]),
        tables.boxes.clone(),
        gains.reshape([problems, queries, rows]),
        BoxCost {
            l1: cost.l1 as f32,
            giou: cost.giou as f32,
        },
    )?;
    assign(costs, tables.counts.clone().repeat(&[layers]), rows - 1)
}

fn group_means(output: &DetectionOutput, tables: &Tables, cost: &MatchCost) -> Option<Means> {
    let [layers, batch, queries, classes] = output.logits.dims();
    let device = output.logits.device();
    let (table_rows, rows) = (tables.rows(), layers * batch * queries);
    let Assignment { objects, finite } = assign_objects(output, tables, cost)?;
    // The row of each query in the tables of all images.
    let first_rows: Vec<i32> = (0..layers * batch)
        .map(|problem| (problem % batch * table_rows) as i32)
        .collect();
    let first_rows = constant_ints(&first_rows, &device.clone().inner());
    let indices = (objects + first_rows.reshape([layers * batch, 1])).reshape([rows]);
    let tracked = |tensor: Tensor<2>| floats(tensor, &device);
    let select = |table: &Tensor<1>| table.clone().select(0, indices.clone());
    let by_layer = |tensor: Tensor<2>| -> Tensor<1> {
        let width = tensor.shape().num_elements() / layers;
        tensor.reshape([layers, width]).sum_dim(1).squeeze_dim(1)
    };

    let labels = tables.classes.clone().reshape([batch * table_rows]);
    let labels = labels.select(0, indices.clone());
    let class_weights = select(&tables.class_weights).reshape([layers * batch, queries]);
    let class_weights = tracked(class_weights * finite.reshape([layers * batch, 1]));
    let log_probs = log_prob_at(output.logits.clone().reshape([rows, classes]), labels);
    let class = log_probs.reshape([layers * batch, queries]) * class_weights;

    let boxes = tables.boxes.clone().reshape([batch * table_rows, 4]);
    let boxes = boxes.select(0, indices.clone());
    let losses = box_losses(output.boxes.clone().reshape([rows, 4]), boxes)?;
    let losses = losses * tracked(select(&tables.box_weights).reshape([1, rows]));
    let sums = losses.reshape([2 * layers, batch * queries]).sum_dim(1);
    let [l1, giou] = [0, layers].map(|first| sums.clone().narrow(0, first, layers).squeeze_dim(1));

    let attribute = match (&output.attributes, &tables.attribute_weights) {
        (Some(logits), Some(weights)) => {
            let attributes = logits.dims()[3];
            let log_probs = log_softmax(logits.clone().reshape([rows, attributes]), 1);
            let weights = tracked(weights.clone().select(0, indices));
            by_layer(log_probs * weights).neg()
        }
        _ => Tensor::zeros([layers], &device),
    };
    Some([
        ("class", by_layer(class).neg()),
        ("l1", l1),
        ("giou", giou),
        ("attribute", attribute),
    ])
}
