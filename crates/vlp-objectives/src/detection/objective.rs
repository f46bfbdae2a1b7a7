//! The detection objective: learned queries through the decoder, heads, matching and losses.

use burn::module::Param;
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};
use vlp_transformer::{DecoderInput, Memory};

use super::heads::{BoxHead, ClassVocabulary, DetectionOutput, VocabularyHead};
use super::matcher::{MatchCost, Matcher};
use super::set_loss::SetSums;
use super::target::DetectionTarget;
use crate::draft::Draft;
use crate::encoded::{Encoded, Needs};
use crate::error::ObjectiveError;
use crate::objective::{Losses, Objective};
use crate::tally::Tally;

const NAME: &str = "detection";

/// Configuration of [`Detection`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectionConfig {
    /// Weight of the whole objective; 1 in E2E-VLP.
    pub weight: f64,
    /// Number of object queries, the most objects a picture can hold; 100 in DETR.
    pub num_queries: usize,
    /// Weight of the class loss; 1 in DETR.
    pub class_weight: f64,
    /// Weight of the L1 box loss; 5 in DETR.
    pub l1_weight: f64,
    /// Weight of the generalised IoU loss; 2 in DETR.
    pub giou_weight: f64,
    /// Weight of the attribute loss; 1 in E2E-VLP's formula.
    pub attribute_weight: f64,
    /// Class weight of no-object; 0.1 in DETR.
    pub no_object: f64,
    /// Losses on every decoder layer, not only the last; true in DETR.
    pub aux_losses: bool,
    /// Queries see the image tokens of the joint pass instead of the image-only pass; false: no text at inference.
    pub from_joint: bool,
    /// Weights of the matching cost.
    pub cost: MatchCost,
}

impl Default for DetectionConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            num_queries: 100,
            class_weight: 1.0,
            l1_weight: 5.0,
            giou_weight: 2.0,
            attribute_weight: 1.0,
            no_object: 0.1,
            aux_losses: true,
            from_joint: false,
            cost: MatchCost::default(),
        }
    }
}

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

/// One detected object.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The query that found it.
    pub query: usize,
    /// Index into the vocabulary's classes.
    pub class: usize,
    /// Probability of that class.
    pub score: f32,
    /// Centre and size relative to the unpadded picture.
    pub bbox: [f32; 4],
    /// Probability of every attribute of the vocabulary.
    pub attributes: Vec<f32>,
}

impl DetectionConfig {
    /// Builds queries and heads for a decoder of width `d_model`, a class head for each vocabulary.
    pub fn init(
        &self,
        d_model: usize,
        vocabularies: Vec<ClassVocabulary>,
        device: &Device,
    ) -> Result<Detection, ObjectiveError> {
        let fail = |key, value: String, hint: &str| {
            Err(ObjectiveError::Config {
                objective: NAME,
                key,
                value,
                hint: hint.into(),
            })
        };
        if self.num_queries == 0 {
            return fail("num_queries", "0".into(), "use at least 1 (100 in DETR)");
        }
        if vocabularies.is_empty() {
            return fail(
                "vocabularies",
                "[]".into(),
                "give at least one class vocabulary, or switch detection off",
            );
        }
        Ok(Detection {
            query_embed: Param::from_tensor(Tensor::random(
                [self.num_queries, d_model],
                Distribution::Normal(0.0, 1.0),
                device,
            )),
            heads: vocabularies
                .iter()
                .map(|v| v.init(d_model, device))
                .collect(),
            box_head: BoxHead::new(d_model, device),
            vocabularies,
            config: self.clone(),
        })
    }
}

impl Detection {
    fn memory<'a>(&self, encoded: &'a Encoded<'_>) -> Result<&'a Memory, ObjectiveError> {
        if self.config.from_joint {
            encoded.joint_image(NAME)
        } else {
            encoded.image(NAME)
        }
    }

    /// Where every query looks in the picture: the last cross-attention, mean over heads,
    /// `[batch, queries, image tokens]`.
    pub fn attention(&self, encoded: &Encoded<'_>) -> Result<Tensor<3>, ObjectiveError> {
        let memory = self.memory(encoded)?;
        Ok(encoded.decoder(NAME)?.attention(self.input(memory)))
    }

    fn input<'a>(&self, memory: &'a Memory) -> DecoderInput<'a> {
        let [batch, _, width] = memory.states.dims();
        let shape = [batch, self.config.num_queries, width];
        DecoderInput {
            x: Tensor::zeros(shape, &memory.states.device()),
            query_pos: Some(self.query_embed.val().unsqueeze::<3>().expand(shape)),
            bias: None,
            memory,
        }
    }

    /// Decoder states of the queries, `[layers, batch, queries, d_model]`.
    pub fn states(&self, encoded: &Encoded<'_>) -> Result<Tensor<4>, ObjectiveError> {
        let memory = self.memory(encoded)?;
        let states = encoded.decoder(NAME)?.forward_all(self.input(memory));
        Ok(Tensor::stack(states, 0))
    }

    /// Predictions of every layer for one vocabulary.
    pub fn output(&self, states: Tensor<4>, vocabulary: usize) -> DetectionOutput {
        self.heads[vocabulary].forward(&self.box_head, states)
    }

    /// Predictions and targets of the pictures of each vocabulary in the batch.
    fn by_vocabulary<'a>(
        &self,
        states: &Tensor<4>,
        targets: &'a [DetectionTarget],
    ) -> Vec<(DetectionOutput, Vec<&'a DetectionTarget>)> {
        let mut groups = vec![];
        for vocabulary in 0..self.heads.len() {
            let rows: Vec<i32> = (0..targets.len())
                .filter(|&i| targets[i].vocabulary == Some(vocabulary))
                .map(|i| i as i32)
                .collect();
            if rows.is_empty() {
                continue;
            }
            let chosen = rows.iter().map(|&i| &targets[i as usize]).collect();
            let states = match rows.len() == targets.len() {
                true => states.clone(),
                false => states
                    .clone()
                    .select(1, Tensor::from_ints(rows.as_slice(), &states.device())),
            };
            groups.push((self.output(states, vocabulary), chosen));
        }
        groups
    }

    /// Every query's most probable class for each picture, best score first.
    pub fn detect(
        &self,
        encoded: &Encoded<'_>,
        vocabulary: usize,
    ) -> Result<Vec<Vec<Found>>, ObjectiveError> {
        let states = self.states(encoded)?;
        let [layers, batch, queries, width] = states.dims();
        let last = states.slice([layers - 1..layers, 0..batch, 0..queries, 0..width]);
        let mut pictures = found(&self.output(last, vocabulary));
        pictures
            .iter_mut()
            .for_each(|found| found.sort_by(|a, b| b.score.total_cmp(&a.score)));
        Ok(pictures)
    }
}

/// Each query's detection at the last layer of `output`, in query order (DETR, `PostProcess`).
pub(crate) fn found(output: &DetectionOutput) -> Vec<Vec<Found>> {
    let [layers, batch, queries, classes] = output.logits.dims();
    let from = layers - 1..layers;
    let host = |t: Tensor<4>| -> Vec<f32> { t.into_data().iter().collect() };
    let last = |t: &Tensor<4>| {
        let width = t.dims()[3];
        t.clone()
            .slice([from.clone(), 0..batch, 0..queries, 0..width])
    };
    let classes_p = host(softmax(last(&output.logits), 3));
    let boxes = host(last(&output.boxes));
    let width = output.attributes.as_ref().map_or(0, |a| a.dims()[3]);
    let attributes = output
        .attributes
        .as_ref()
        .map(|a| host(softmax(last(a), 3)))
        .unwrap_or_default();
    (0..batch)
        .map(|image| {
            (0..queries)
                .map(|query| {
                    let row = image * queries + query;
                    let p = &classes_p[row * classes..(row + 1) * classes - 1];
                    let class =
                        (0..p.len()).fold(0, |best, i| if p[i] > p[best] { i } else { best });
                    Found {
                        query: row % queries,
                        class,
                        score: p.get(class).copied().unwrap_or(0.0),
                        bbox: [0, 1, 2, 3].map(|i| boxes[row * 4 + i]),
                        attributes: attributes
                            .get(row * width..(row + 1) * width)
                            .unwrap_or(&[])
                            .to_vec(),
                    }
                })
                .collect()
        })
        .collect()
}

impl Objective for Detection {
    type Target = DetectionTarget;

    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        if self.config.from_joint {
            Needs::JOINT
        } else {
            Needs::IMAGE
        }
    }

    fn prepare(&self, draft: &mut Draft<'_>) -> Result<DetectionTarget, ObjectiveError> {
        let vocabulary = self
            .vocabularies
            .iter()
            .position(|v| v.name == draft.labels.name);
        Ok(DetectionTarget::of(
            draft.example,
            vocabulary,
            draft.labels,
            self.config.num_queries,
        ))
    }

    fn loss(
        &self,
        encoded: &Encoded<'_>,
        targets: &[DetectionTarget],
    ) -> Result<Losses, ObjectiveError> {
        let states = self.states(encoded)?;
        let layers = states.dims()[0];
        let states = match self.config.aux_losses {
            true => states,
            false => states.narrow(0, layers - 1, 1),
        };
        let layers = states.dims()[0];
        let mut matcher = Matcher::default();
        let mut sums: Option<SetSums> = None;
        for (output, targets) in self.by_vocabulary(&states, targets) {
            let pairs = matcher.assign(&output, &targets, &self.config.cost)?;
            let own = SetSums::new(&output, &targets, &pairs, self.config.no_object);
            sums = Some(match sums {
                Some(sums) => sums.plus(own),
                None => own,
            });
        }
        let mut losses = Losses::default();
        losses.report.push((
            "objects".into(),
            targets.iter().map(|t| t.objects.len()).sum::<usize>() as f64,
        ));
        let dropped: usize = targets.iter().map(|t| t.dropped).sum();
        if dropped > 0 {
            losses
                .report
                .push(("dropped objects".into(), dropped as f64));
        }
        let Some(sums) = sums else { return Ok(losses) };
        let weights = [
            self.config.class_weight,
            self.config.l1_weight,
            self.config.giou_weight,
            self.config.attribute_weight,
        ];
        for ((name, means), weight) in sums.means().into_iter().zip(weights) {
            for layer in 0..layers {
                let name = if layer + 1 == layers {
                    name.to_string()
                } else {
                    format!("{name}.{layer}")
                };
                let mean = means.clone().narrow(0, layer, 1);
                losses.terms.push((name, weight * self.config.weight, mean));
            }
        }
        Ok(losses)
    }

    fn evaluate(
        &self,
        encoded: &Encoded<'_>,
        targets: &[DetectionTarget],
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError> {
        let states = self.states(encoded)?;
        let last = states.dims()[0];
        let states = states.narrow(0, last - 1, 1);
        for (output, targets) in self.by_vocabulary(&states, targets) {
            let pairs = Matcher::default().assign(&output, &targets, &self.config.cost)?;
            for ((queries, target), pairs) in found(&output).iter().zip(&targets).zip(&pairs[0]) {
                tally.detections(queries, target);
                for &(query, object) in pairs {
                    tally.matched(&queries[query], &target.objects[object]);
                }
            }
        }
        Ok(())
    }
}
