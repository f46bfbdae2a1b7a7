//! Heads on the decoder's states: a class and an attribute head for each vocabulary, one box head.

use burn::nn::{Linear, LinearConfig};
use burn::prelude::*;
use burn::tensor::activation::{relu, sigmoid};
use serde::{Deserialize, Serialize};
use vlp_data::LabelSpace;
use vlp_ops::{init_weights, linear_layer};

/// The size of a set of class names (COCO, Visual Genome, scenes), each of which has its own class head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassVocabulary {
    /// Name of the data set's label space.
    pub name: String,
    /// Number of classes, without no-object.
    pub classes: usize,
    /// Number of attributes; 0 if none is annotated (COCO).
    pub attributes: usize,
}

/// Predictions of `layers` decoder layers for one vocabulary.
#[derive(Debug, Clone)]
pub struct DetectionOutput {
    /// Class logits `[layers, batch, queries, classes + 1]`, no-object last.
    pub logits: Tensor<4>,
    /// Attribute logits `[layers, batch, queries, attributes]`, if the vocabulary has attributes.
    pub attributes: Option<Tensor<4>>,
    /// Center and size relative to the unpadded image, `[layers, batch, queries, 4]`.
    pub boxes: Tensor<4>,
}

#[derive(Module, Debug)]
pub(crate) struct VocabularyHead {
    class: Linear,
    attribute: Option<Linear>,
}

init_weights!(VocabularyHead { class, attribute });

/// Three linear layers with ReLU between them and a sigmoid at the end (DETR).
#[derive(Module, Debug)]
pub(crate) struct BoxHead {
    layers: Vec<Linear>,
}

init_weights!(BoxHead { layers });

impl From<&LabelSpace> for ClassVocabulary {
    fn from(labels: &LabelSpace) -> Self {
        Self {
            name: labels.name.clone(),
            classes: labels.classes.len(),
            attributes: labels.attributes.len(),
        }
    }
}

impl ClassVocabulary {
    pub(crate) fn init(&self, d_model: usize, device: &Device) -> VocabularyHead {
        VocabularyHead {
            class: LinearConfig::new(d_model, self.classes + 1).init(device),
            attribute: (self.attributes > 0)
                .then(|| LinearConfig::new(d_model, self.attributes).init(device)),
        }
    }
}

impl BoxHead {
    pub(crate) fn new(d_model: usize, device: &Device) -> Self {
        let layer = |out| LinearConfig::new(d_model, out).init(device);
        Self {
            layers: vec![layer(d_model), layer(d_model), layer(4)],
        }
    }

    fn forward(&self, states: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        let x = self
            .layers
            .iter()
            .enumerate()
            .fold(states, |x, (i, layer)| {
                let x = linear_layer(layer, x);
                if i < last { relu(x) } else { x }
            });
        sigmoid(x)
    }
}

impl VocabularyHead {
    /// Predictions of `states` `[layers, batch, queries, d_model]`.
    pub(crate) fn forward(&self, boxes: &BoxHead, states: Tensor<4>) -> DetectionOutput {
        let [layers, batch, queries, width] = states.dims();
        let flat = states.reshape([layers * batch * queries, width]);
        let shape = |t: Tensor<2>| {
            let out = t.dims()[1];
            t.reshape([layers, batch, queries, out])
        };
        DetectionOutput {
            logits: shape(linear_layer(&self.class, flat.clone())),
            attributes: self
                .attribute
                .as_ref()
                .map(|head| shape(linear_layer(head, flat.clone()))),
            boxes: shape(boxes.forward(flat)),
        }
    }
}
