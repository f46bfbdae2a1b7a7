//! The detection objective: learned queries through the decoder, heads, matching and losses.

use std::ops::Add;

use burn::module::Param;
use burn::prelude::*;
use burn::tensor::Distribution;
use vlp_ops::capture::Value;
use vlp_ops::{init_weights, is_cpu};
use vlp_transformer::{Decoder, DecoderInput, Memory};

use super::config::DetectionConfig;
use super::heads::{BoxHead, ClassVocabulary, DetectionOutput, VocabularyHead};
use super::matcher::{Matcher, Pairs};
use super::metrics::DetectionMetrics;
use super::on_device;
use super::post_process::{DetectedObject, post_process};
use super::set_loss::SetLossSums;
use super::tables::{self, TableShape};
use super::target::DetectionTarget;
use super::terms::{self, Means};
use crate::encoder_output::EncoderOutput;
use crate::error::ObjectiveError;
use crate::loss::zero;
use crate::objective::{Losses, Objective};
use crate::pair_builder::PairBuilder;
use crate::passes::EncoderPasses;
use crate::target_tensors::TargetTensors;
use crate::targets::Unit;

/// Object queries with class, attribute and box heads.
#[derive(Module, Debug)]
pub struct Detection {
    query_embed: Param<Tensor<2>>,
    heads: Vec<VocabularyHead>,
    box_head: BoxHead,
    #[module(skip)]
    vocabularies: Vec<ClassVocabulary>,
    #[module(skip)]
    config: DetectionConfig,
}

init_weights!(Detection {
    query_embed = Normal(1.0),
    heads,
    box_head;
    vocabularies, config
});

impl DetectionConfig {
    /// Builds queries and heads for a decoder of width `d_model`, with a class head for each vocabulary.
    ///
    /// # Errors
    /// [`ObjectiveError::Config`] without queries or vocabularies.
    pub fn init(
        &self,
        d_model: usize,
        vocabularies: Vec<ClassVocabulary>,
        device: &Device,
    ) -> Result<Detection, ObjectiveError> {
        let fail = |key, value: &str, hint: &str| {
            Err(ObjectiveError::Config {
                objective: Detection::NAME,
                key,
                value: value.into(),
                hint: hint.into(),
            })
        };
        if self.num_queries == 0 {
            return fail("num_queries", "0", "use at least 1 (100 in DETR)");
        }
        if vocabularies.is_empty() {
            let hint = "give at least one class vocabulary, or switch detection off";
            return fail("vocabularies", "[]", hint);
        }
        Ok(Detection {
            query_embed: Param::from_tensor(Tensor::random(
                [self.num_queries, d_model],
                Distribution::Normal(0.0, 1.0),
                device,
            )),
            heads: vocabularies
                .iter()
                .map(|vocabulary| vocabulary.init(d_model, device))
                .collect(),
            box_head: BoxHead::new(d_model, device),
            vocabularies,
            config: self.clone(),
        })
    }
}

/// Predictions for the images of a vocabulary, and their targets.
type VocabularyGroup<'a> = (DetectionOutput, Vec<&'a DetectionTarget>);

impl Detection {
    /// The image tokens that queries attend to, one row per target.
    fn memory<'a>(&self, output: &'a EncoderOutput<'_>) -> &'a Memory {
        match self.config.from_joint {
            true => &output.joint().image,
            false => output.image(),
        }
    }

    fn decoder_input<'a>(&self, memory: &'a Memory) -> DecoderInput<'a> {
        let [images, _, width] = memory.states.dims();
        let shape = [images, self.config.num_queries, width];
        DecoderInput {
            x: Tensor::zeros(shape, &memory.states.device()),
            query_pos: Some(self.query_embed.val().unsqueeze::<3>().expand(shape)),
            bias: None,
            memory,
        }
    }

    /// Attention weights of the last cross-attention of every query, mean over heads,
    /// `[images, queries, image tokens]`.
    pub fn attention_weights(&self, memory: &Memory, decoder: &Decoder) -> Tensor<3> {
        decoder.attention_weights(self.decoder_input(memory))
    }

    /// Decoder states of the queries, `[layers, images, queries, d_model]`.
    pub fn states(&self, memory: &Memory, decoder: &Decoder) -> Tensor<4> {
        Tensor::stack(decoder.forward_all(self.decoder_input(memory)), 0)
    }

    /// [`Self::states`] of the last layer alone, `[1, images, queries, d_model]`.
    pub fn last_states(&self, memory: &Memory, decoder: &Decoder) -> Tensor<4> {
        decoder.forward(self.decoder_input(memory)).unsqueeze()
    }

    /// Predictions of every layer for one vocabulary, from decoder states `[layers, images, queries, d_model]`.
    pub fn predict(&self, states: Tensor<4>, vocabulary: usize) -> DetectionOutput {
        self.heads[vocabulary].forward(&self.box_head, states)
    }

    /// Predictions and targets of the images of each vocabulary in the batch.
    fn by_vocabulary<'a>(
        &self,
        states: &Tensor<4>,
        targets: &[&'a DetectionTarget],
    ) -> Vec<VocabularyGroup<'a>> {
        let mut groups = vec![];
        for vocabulary in 0..self.heads.len() {
            let images: Vec<usize> = (0..targets.len())
                .filter(|&image| targets[image].vocabulary == Some(vocabulary))
                .collect();
            if images.is_empty() {
                continue;
            }
            let states = match images.len() == targets.len() {
                true => states.clone(),
                false => {
                    let rows: Vec<i32> = images.iter().map(|&image| image as i32).collect();
                    let rows = Tensor::from_ints(rows.as_slice(), &states.device());
                    states.clone().select(1, rows)
                }
            };
            let targets = images.iter().map(|&image| targets[image]).collect();
            groups.push((self.predict(states, vocabulary), targets));
        }
        groups
    }

    /// Pairs of every layer and image of each vocabulary.
    fn assign(
        &self,
        groups: &[VocabularyGroup<'_>],
    ) -> Result<Vec<Vec<Vec<Pairs>>>, ObjectiveError> {
        let groups = groups
            .iter()
            .map(|(output, targets)| (output, &targets[..]));
        Matcher::default().assign_all(groups, &self.config.cost)
    }

    /// The object of every query for each image, by descending score.
    pub fn detect(
        &self,
        memory: &Memory,
        decoder: &Decoder,
        vocabulary: usize,
    ) -> Vec<Vec<DetectedObject>> {
        let states = self.last_states(memory, decoder);
        let mut images = post_process(&self.predict(states, vocabulary));
        for objects in &mut images {
            objects.sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        images
    }

    /// Weights of the terms.
    fn weights(&self) -> [f64; 4] {
        let config = &self.config;
        let weights = [
            config.class_weight,
            config.l1_weight,
            config.giou_weight,
            config.attribute_weight,
        ];
        weights.map(|weight| weight * config.weight)
    }

    /// What the vocabularies in a batch need to be matched on a GPU. Each of them predicts for all images, so that sizes do not
    /// depend on the targets.
    fn table_shapes(&self, targets: &[&DetectionTarget]) -> Vec<TableShape> {
        let is_present = |vocabulary: &usize| {
            let mut targets = targets.iter();
            targets.any(|target| target.vocabulary == Some(*vocabulary))
        };
        let present = (0..self.vocabularies.len()).filter(is_present);
        let shape = |vocabulary: usize| TableShape {
            vocabulary,
            queries: self.config.num_queries,
            classes: self.vocabularies[vocabulary].classes,
            attributes: self.vocabularies[vocabulary].attributes,
            matches_attributes: self.config.cost.attribute != 0.0,
        };
        present.map(shape).collect()
    }

    /// Means of the losses without reading anything from the device, from [`Objective::target_tensors`] if there are any;
    /// `None` on the CPU, and for more objects or queries than the matching takes.
    fn means_on_device(
        &self,
        states: &Tensor<4>,
        targets: &[&DetectionTarget],
        values: &[Value],
    ) -> Option<Means> {
        let device = states.device();
        if is_cpu(&device) {
            return None;
        }
        let shapes = self.table_shapes(targets);
        let tables = match values {
            [] => {
                let no_object = self.config.no_object;
                let values = tables::values(&shapes, targets, no_object, &device)?;
                tables::from_values(&shapes, &values)?
            }
            values => tables::from_values(&shapes, values)?,
        };
        let predict = |shape: &TableShape| self.predict(states.clone(), shape.vocabulary);
        let outputs: Vec<DetectionOutput> = shapes.iter().map(predict).collect();
        on_device::means(&outputs, &tables, &self.config.cost)
    }

    /// Means of the losses by the matching on the CPU; `None` without images that are annotated.
    fn means_on_cpu(
        &self,
        states: &Tensor<4>,
        targets: &[&DetectionTarget],
    ) -> Result<Option<Means>, ObjectiveError> {
        let groups = self.by_vocabulary(states, targets);
        let pairs = self.assign(&groups)?;
        let sums = groups.iter().zip(&pairs).map(|((output, targets), pairs)| {
            SetLossSums::new(output, targets, pairs, self.config.no_object)
        });
        Ok(sums.reduce(Add::add).map(SetLossSums::means))
    }
}

impl Objective for Detection {
    const NAME: &'static str = "detection";

    type Target = DetectionTarget;

    type Metrics = DetectionMetrics;

    fn unit(&self) -> Unit {
        match self.config.from_joint {
            true => Unit::Text,
            false => Unit::Image,
        }
    }

    fn passes(&self) -> EncoderPasses {
        match self.config.from_joint {
            true => EncoderPasses::JOINT,
            false => EncoderPasses::IMAGE,
        }
    }

    fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<DetectionTarget, ObjectiveError> {
        let mut vocabularies = self.vocabularies.iter();
        let vocabulary = vocabularies.position(|vocabulary| vocabulary.name == pair.labels.name);
        Ok(DetectionTarget::new(
            pair.example,
            vocabulary,
            pair.labels,
            self.config.num_queries,
        ))
    }

    fn target_tensors(
        &self,
        targets: &[&DetectionTarget],
        _text_length: usize,
        device: &Device,
    ) -> TargetTensors {
        let shapes = self.table_shapes(targets);
        let values = tables::values(&shapes, targets, self.config.no_object, device);
        TargetTensors {
            values: values.unwrap_or_default(),
            key: shapes.iter().map(|shape| shape.vocabulary).collect(),
        }
    }

    fn decoder_input<'a>(
        &self,
        output: &'a EncoderOutput<'_>,
        _targets: &[&DetectionTarget],
    ) -> Option<DecoderInput<'a>> {
        (!self.config.from_joint).then(|| self.decoder_input(output.image()))
    }

    fn loss(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&DetectionTarget],
    ) -> Result<Losses, ObjectiveError> {
        let (memory, decoder) = (self.memory(output), output.parts.decoder(Self::NAME)?);
        let states = match (output.decoded(Self::NAME), self.config.aux_losses) {
            (Some(layers), true) => Tensor::stack(layers.to_vec(), 0),
            (Some(layers), false) => Tensor::stack(layers[layers.len() - 1..].to_vec(), 0),
            (None, true) => self.states(memory, decoder),
            (None, false) => self.last_states(memory, decoder),
        };
        let layers = states.dims()[0];
        let values = output.target_tensors(Self::NAME);
        if let Some(means) = self.means_on_device(&states, targets, values) {
            return Ok(terms::with_total(self.weights(), means, layers));
        }
        Ok(match self.means_on_cpu(&states, targets)? {
            Some(means) => terms::losses(self.weights(), means, layers),
            None => Losses::single(Self::NAME, self.config.weight, zero(&states.device())),
        })
    }

    fn diagnostics(&self, targets: &[&DetectionTarget]) -> Vec<(&'static str, f64)> {
        let objects: usize = targets.iter().map(|target| target.objects.len()).sum();
        let dropped: usize = targets.iter().map(|target| target.dropped).sum();
        let mut diagnostics = vec![("objects", objects as f64)];
        if dropped > 0 {
            diagnostics.push(("dropped_objects", dropped as f64));
        }
        diagnostics
    }

    fn evaluate(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&DetectionTarget],
        metrics: &mut DetectionMetrics,
    ) -> Result<(), ObjectiveError> {
        let states = self.last_states(self.memory(output), output.parts.decoder(Self::NAME)?);
        let groups = self.by_vocabulary(&states, targets);
        let pairs = self.assign(&groups)?;
        for ((predictions, targets), pairs) in groups.iter().zip(&pairs) {
            let objects = post_process(predictions);
            for ((objects, target), pairs) in objects.iter().zip(targets).zip(&pairs[0]) {
                if !metrics.record_image(objects, target) {
                    continue;
                }
                for &(query, object) in pairs {
                    metrics.record_match(target, &objects[query], &target.objects[object]);
                }
            }
        }
        Ok(())
    }
}
