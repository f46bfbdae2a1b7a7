//! The captioning objective.

use std::sync::Arc;

use burn::module::Param;
use burn::prelude::*;
use getset::WithSetters;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use vlp_ops::init_weights;
use vlp_transformer::{DecoderInput, GeneratedSequence, GenerationConfig, Sampling, TextBatch};

use super::generator::CaptionGenerator;
use super::head::CaptionHead;
use super::metrics::CaptionMetrics;
use super::reward::CaptionReward;
use super::self_critical::{RewardedImage, SelfCritical, SelfCriticalLoss};
use crate::encoder_output::EncoderOutput;
use crate::error::ObjectiveError;
use crate::loss::{cross_entropy, zero};
use crate::objective::{Losses, Objective};
use crate::pair_builder::PairBuilder;
use crate::passes::EncoderPasses;
use crate::target_tensors::{PaddedLabels, TEXT_MULTIPLE, TargetTensors, bools, ints};
use crate::targets::Unit;
use crate::validate::{Check, RunContext, Validate};

/// Configuration of [`Captioning`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
#[serde(deny_unknown_fields)]
pub struct CaptioningConfig {
    /// Weight of the loss; 1 in E2E-VLP.
    pub weight: f64,
    /// Maximum number of tokens of a caption: generation stops there, and training captions are cut to this length,
    /// `[CLS]` and `[SEP]` included.
    pub max_new_tokens: usize,
    /// Number of beams on validation images; 1 is greedy search.
    pub num_beams: usize,
    /// Exponent of the length by which the sum of a beam's log-probabilities is divided; 0 compares plain sums.
    pub length_penalty: f64,
    /// Minimum number of tokens of a generated caption.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_new_tokens: usize,
    /// No n-gram of this size occurs twice in a generated caption; 0 allows all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub no_repeat_ngram_size: usize,
    /// Sample captions instead of searching for the most probable ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// Train on the reward of sampled captions instead of cross entropy; not in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_critical: Option<SelfCritical>,
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}

impl Default for CaptioningConfig {
    fn default() -> Self {
        Self {
            weight: 1.0,
            max_new_tokens: 40,
            num_beams: 1,
            length_penalty: 0.0,
            min_new_tokens: 0,
            no_repeat_ngram_size: 0,
            sampling: None,
            self_critical: None,
        }
    }
}

/// Output layer of the caption decoder: the transposed token embedding and a bias.
#[derive(Module, Debug)]
pub struct Captioning {
    bias: Param<Tensor<1>>,
    #[module(skip)]
    config: CaptioningConfig,
    #[module(skip)]
    reward: Option<Arc<dyn CaptionReward>>,
}

init_weights!(Captioning { bias = Zeros; config, reward });

impl Validate for CaptioningConfig {
    fn validate(&self, check: &Check, run: &RunContext) -> Result<(), ObjectiveError> {
        check.needs_decoder(run)?;
        let reason = ": [CLS], a token and [SEP]";
        check.at_least("max_new_tokens", self.max_new_tokens, 3, reason)?;
        check.at_least("num_beams", self.num_beams, 1, " (greedy)")?;
        let (penalty, is_beam_search) = (
            self.length_penalty,
            self.num_beams > 1 && self.sampling.is_none(),
        );
        if !penalty.is_finite() || (penalty != 0.0 && !is_beam_search) {
            let hint =
                "use a finite number; without beam search (num_beams = 1, or sampling) use 0";
            return check.fail("length_penalty", penalty, hint);
        }
        if self.min_new_tokens > self.max_new_tokens {
            let hint = "use at most max_new_tokens";
            return check.fail("min_new_tokens", self.min_new_tokens, hint);
        }
        if let Some(SelfCritical { samples, documents }) = self.self_critical {
            let reason = " (with one, the greedy caption is the baseline)";
            check.at_least("self_critical.samples", samples, 1, reason)?;
            let reason = ": the words of a single document have no weight";
            check.at_least("self_critical.documents", documents, 2, reason)?;
        }
        let Some(sampling) = &self.sampling else {
            return Ok(());
        };
        if sampling.temperature.is_nan() || sampling.temperature <= 0.0 {
            let hint = "use a temperature above 0 (1 leaves the distribution unchanged)";
            return check.fail("sampling.temperature", sampling.temperature, hint);
        }
        if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
            let hint = "use a value in (0, 1] (0.9 is usual)";
            return check.fail("sampling.top_p", sampling.top_p, hint);
        }
        Ok(())
    }
}

impl CaptioningConfig {
    /// Beam search from `bos` to `eos`; [`Self::sampling`] is not part of it.
    pub fn generation(&self, bos: u32, eos: u32) -> GenerationConfig {
        GenerationConfig::greedy(bos, eos, self.max_new_tokens)
            .with_min_new_tokens(self.min_new_tokens)
            .with_num_beams(self.num_beams)
            .with_length_penalty(self.length_penalty)
            .with_no_repeat_ngram_size(self.no_repeat_ngram_size)
    }

    /// Builds the output layer.
    ///
    /// Initial weights are burn's defaults; `vlp_models::initialize` sets those of the published models.
    pub fn init(&self, vocab_size: usize, device: &Device) -> Captioning {
        Captioning {
            bias: Param::from_tensor(Tensor::zeros([vocab_size], device)),
            config: self.clone(),
            reward: None,
        }
    }
}

/// The example's own caption, whatever text entered the encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptionTarget {
    /// `[CLS]` ... `[SEP]`.
    pub ids: Vec<u32>,
    /// All captions of the image, for validation metrics.
    pub references: Vec<String>,
    /// First and last token of a caption.
    pub bos_eos: (u32, u32),
    /// Padding token.
    pub pad: u32,
    /// Seed of captions sampled for this example.
    pub seed: u64,
    /// The image's id, for result files.
    pub image_id: u64,
}

impl Captioning {
    /// Sets the reward that self-critical training needs.
    #[must_use]
    pub fn with_reward(mut self, reward: Arc<dyn CaptionReward>) -> Self {
        self.reward = Some(reward);
        self
    }

    /// The logits of captions of a batch.
    ///
    /// # Errors
    /// [`ObjectiveError::Missing`] for a model without a decoder.
    pub fn head<'a>(
        &self,
        output: &'a EncoderOutput<'_>,
    ) -> Result<CaptionHead<'a>, ObjectiveError> {
        Ok(CaptionHead {
            bias: self.bias.val(),
            decoder: output.parts.caption_decoder(Self::NAME)?,
            text_embedding: output.parts.text_embedding,
            memory: output.image(),
            graphs: output.caption_graphs,
        })
    }

    /// A generator of captions of a batch.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub fn generator<'a>(
        &self,
        output: &'a EncoderOutput<'_>,
    ) -> Result<CaptionGenerator<'a>, ObjectiveError> {
        Ok(CaptionGenerator::new(self.head(output)?))
    }

    /// Captions by beam search or, if `config` says so, sampled with one seed per image.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub fn generate(
        &self,
        output: &EncoderOutput<'_>,
        config: &CaptioningConfig,
        (bos, eos): (u32, u32),
        seeds: &[u64],
    ) -> Result<Vec<GeneratedSequence>, ObjectiveError> {
        let generator = self.generator(output)?;
        let generation = config.generation(bos, eos);
        Ok(match &config.sampling {
            Some(sampling) => generator.sample(&generation, sampling, seeds),
            None => generator.beam_search(&generation),
        })
    }

    fn self_critical_loss(
        &self,
        config: &SelfCritical,
        output: &EncoderOutput<'_>,
        targets: &[&CaptionTarget],
    ) -> Result<Losses, ObjectiveError> {
        let Some(reward) = &self.reward else {
            return Err(ObjectiveError::Config {
                objective: Self::NAME,
                key: "self_critical",
                value: "on".into(),
                hint: "give the objective a reward (Captioning::with_reward)".into(),
            });
        };
        let ((bos, eos), pad) = targets.first().map_or(((0, 0), 0), |t| (t.bos_eos, t.pad));
        let loss = SelfCriticalLoss {
            samples: config.samples,
            reward: reward.as_ref(),
            greedy: self.config.generation(bos, eos).with_num_beams(1),
            sampling: self.config.sampling.unwrap_or_default(),
            pad,
        };
        let images = targets.iter().map(|target| RewardedImage {
            references: &target.references,
            seed: target.seed,
        });
        let images: Vec<RewardedImage<'_>> = images.collect();
        let (value, reward) = loss.compute(&self.head(output)?, &images);
        Ok(Losses {
            diagnostics: vec![("reward", reward)],
            ..Losses::single(Self::NAME, self.config.weight, value)
        })
    }
}

/// Ids of the captions, and the padding token.
fn texts<'a>(targets: &[&'a CaptionTarget]) -> (Vec<&'a [u32]>, u32) {
    let texts = targets.iter().map(|target| target.ids.as_slice());
    let pad = targets.first().map_or(0, |target| target.pad);
    (texts.collect(), pad)
}

/// The decoder's input as [`Captioning::target_tensors`] has made it.
fn teacher_forced_text(output: &EncoderOutput<'_>) -> Option<TextBatch> {
    let [ids, pad_mask, ..] = output.target_tensors(Captioning::NAME) else {
        return None;
    };
    let device = output.image().states.device();
    Some(TextBatch {
        ids: ints(ids.tensor(), &device),
        pad_mask: bools(pad_mask.tensor(), &device),
    })
}

impl Objective for Captioning {
    const NAME: &'static str = "caption";

    type Target = CaptionTarget;

    type Metrics = CaptionMetrics;

    fn unit(&self) -> Unit {
        Unit::Image
    }

    fn passes(&self) -> EncoderPasses {
        EncoderPasses::IMAGE
    }

    fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<CaptionTarget, ObjectiveError> {
        let special = pair.tokenizer.special_tokens();
        let caption = pair.example.texts.first().map_or("", String::as_str);
        Ok(CaptionTarget {
            ids: pair
                .tokenizer
                .encode(caption, self.config.max_new_tokens)
                .ids,
            references: pair.example.captions.clone(),
            bos_eos: (special.cls, special.sep),
            pad: special.pad,
            seed: pair.rng(Self::NAME).random(),
            image_id: pair.example.key,
        })
    }

    fn target_tensors(
        &self,
        targets: &[&CaptionTarget],
        _: usize,
        device: &Device,
    ) -> TargetTensors {
        let (texts, pad) = texts(targets);
        if self.config.self_critical.is_some() || texts.iter().all(|ids| ids.len() < 2) {
            return TargetTensors::default();
        }
        let inputs: Vec<&[u32]> = texts
            .iter()
            .map(|ids| &ids[..ids.len().saturating_sub(1)])
            .collect();
        let (multiple, max) = (TEXT_MULTIPLE, self.config.max_new_tokens);
        let text = TextBatch::collate_to_multiple(&inputs, pad, multiple, max, device);
        let length = text.ids.dims()[1];
        let labels = texts.iter().enumerate().flat_map(|(row, ids)| {
            let labels = ids.iter().skip(1).enumerate();
            labels.map(move |(position, &id)| (row * length + position, id as usize))
        });
        let labels = PaddedLabels::values(&labels.collect::<Vec<_>>(), device);
        let values = [text.ids.into(), text.pad_mask.into()];
        values.into_iter().chain(labels).collect::<Vec<_>>().into()
    }

    fn decoder_input<'a>(
        &self,
        output: &'a EncoderOutput<'_>,
        targets: &[&CaptionTarget],
    ) -> Option<DecoderInput<'a>> {
        if self.config.self_critical.is_some() || output.parts.caption_decoder.is_some() {
            return None;
        }
        let head = self.head(output).ok()?;
        if let Some(text) = teacher_forced_text(output) {
            return Some(head.decoder_input(&text));
        }
        let (texts, pad) = texts(targets);
        head.teacher_forced_input(&texts, pad)
    }

    fn loss(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&CaptionTarget],
    ) -> Result<Losses, ObjectiveError> {
        if let Some(config) = &self.config.self_critical {
            return self.self_critical_loss(config, output, targets);
        }
        let head = self.head(output)?;
        let decoded = output.decoded(Self::NAME).and_then(<[_]>::last);
        let (tensors, device) = (
            output.target_tensors(Self::NAME),
            head.memory.states.device(),
        );
        if let Some(text) = teacher_forced_text(output)
            && let Some(labels) = PaddedLabels::from_values(tensors, &device)
        {
            let decode = || head.decoder.forward(head.decoder_input(&text));
            let states = decoded.cloned().unwrap_or_else(decode);
            let [images, length, width] = states.dims();
            let states = labels.select(states.reshape([images * length, width]));
            let value = labels.cross_entropy(head.project(states));
            return Ok(Losses::single(Self::NAME, self.config.weight, value));
        }
        let (texts, pad) = texts(targets);
        let value = match head.teacher_forced_logits(&texts, pad, decoded) {
            Some((logits, labels)) => cross_entropy(logits, &labels),
            None => zero(&head.memory.states.device()),
        };
        Ok(Losses::single(Self::NAME, self.config.weight, value))
    }

    fn evaluate(
        &self,
        output: &EncoderOutput<'_>,
        targets: &[&CaptionTarget],
        metrics: &mut CaptionMetrics,
    ) -> Result<(), ObjectiveError> {
        let Some(first) = targets.first() else {
            return Ok(());
        };
        let seeds: Vec<u64> = targets.iter().map(|target| target.seed).collect();
        let captions = self.generate(output, &self.config, first.bos_eos, &seeds)?;
        for (caption, target) in captions.iter().zip(targets) {
            metrics.record(target.image_id, &caption.ids, &target.references);
        }
        Ok(())
    }
}
