//! From logits to detections (DETR, `PostProcess`).

use burn::prelude::*;
use burn::tensor::activation::softmax;

use super::heads::DetectionOutput;

/// One detected object.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectedObject {
    /// The query that detected it.
    pub query: usize,
    /// Index into the vocabulary's classes.
    pub class: usize,
    /// Probability of that class.
    pub score: f32,
    /// Center and size relative to the unpadded image.
    pub bbox: [f32; 4],
    /// Probability of every attribute of the vocabulary.
    pub attributes: Vec<f32>,
}

/// The detections of the last decoder layer, for each image in query order.
pub fn post_process(output: &DetectionOutput) -> Vec<Vec<DetectedObject>> {
    let [layers, images, queries, classes] = output.logits.dims();
    let last = |tensor: &Tensor<4>| tensor.clone().narrow(0, layers - 1, 1);
    let to_cpu = |tensor: Tensor<4>| -> Vec<f32> { tensor.into_data().iter().collect() };
    let probabilities = to_cpu(softmax(last(&output.logits), 3));
    let boxes = to_cpu(last(&output.boxes));
    let width = output
        .attributes
        .as_ref()
        .map_or(0, |logits| logits.dims()[3]);
    let attributes = output.attributes.as_ref();
    let attributes = attributes
        .map(|logits| to_cpu(softmax(last(logits), 3)))
        .unwrap_or_default();
    let detected = |image: usize, query: usize| {
        let row = image * queries + query;
        // Without the last class, no-object.
        let classes = &probabilities[row * classes..(row + 1) * classes - 1];
        let better = |best: usize, class: usize| match classes[class] > classes[best] {
            true => class,
            false => best,
        };
        let class = (0..classes.len()).fold(0, better);
        DetectedObject {
            query,
            class,
            score: classes.get(class).copied().unwrap_or(0.0),
            bbox: [0, 1, 2, 3].map(|side| boxes[row * 4 + side]),
            attributes: attributes
                .get(row * width..(row + 1) * width)
                .unwrap_or(&[])
                .to_vec(),
        }
    };
    (0..images)
        .map(|image| (0..queries).map(|query| detected(image, query)).collect())
        .collect()
}
