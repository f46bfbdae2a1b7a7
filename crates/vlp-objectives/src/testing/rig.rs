//! Examples and a model to check an objective with.

use std::sync::Arc;

use burn::prelude::*;
use vlp_data::{
    AnswerVocabulary, Entailment, Example, Examples, Label, LabelSpace, ResizeRule, Source,
};
use vlp_scenes::{Scenes, ScenesConfig, ScenesTask, Task};
use vlp_text::WordPieceTokenizer;

use super::ConformanceError;
use super::probe::{MAX_TEXT_LEN, Probe};
use crate::collator::Collator;
use crate::detection::ClassVocabulary;
use crate::metrics::MetricContext;

const EXAMPLES: usize = 8;
/// Scenes of a task: statements are made from several scenes each.
const TASK_SCENES: usize = 64;
const SEED: u64 = 7;

/// Eight examples, a tokenizer and a model.
#[derive(Debug)]
pub struct Rig {
    /// The device of the model, with autodiff.
    pub device: Device,
    /// Generated scenes of 32 x 32 pixels, with captions, boxes and attributes.
    pub examples: Vec<Example>,
    /// The same examples with two texts each.
    pub two_text_examples: Vec<Example>,
    /// Their classes and attributes.
    pub labels: LabelSpace,
    /// The model's tokenizer.
    pub tokenizer: WordPieceTokenizer,
    /// Answers to the examples' questions, if they have questions.
    pub answers: Option<AnswerVocabulary>,
}

impl Rig {
    /// Captioned scenes with arbitrary entailment labels, for a model on `device` with autodiff.
    ///
    /// # Errors
    /// [`ConformanceError::Setup`] if the examples cannot be made.
    pub fn new(device: &Device) -> Result<Self, ConformanceError> {
        let scenes = Scenes::new(config(EXAMPLES)).map_err(ConformanceError::setup)?;
        let mut rig = Self::load(Arc::new(scenes), device)?;
        for examples in [&mut rig.examples, &mut rig.two_text_examples] {
            for (example, &label) in examples.iter_mut().zip(Entailment::ALL.iter().cycle()) {
                example.label = Some(Label::Entailment(label));
            }
        }
        Ok(rig)
    }

    /// Questions, statements or hypotheses about scenes.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn for_task(task: Task, device: &Device) -> Result<Self, ConformanceError> {
        let source = ScenesTask::new(config(TASK_SCENES), task).map_err(ConformanceError::setup)?;
        let answers: Vec<String> = (0..source.len())
            .filter_map(|index| source.consensus(index))
            .collect();
        let mut rig = Self::load(Arc::new(source), device)?;
        rig.answers = (!answers.is_empty()).then(|| {
            AnswerVocabulary::build(answers.iter().map(String::as_str), 1, str::to_lowercase)
        });
        Ok(rig)
    }

    fn load(source: Arc<dyn Source>, device: &Device) -> Result<Self, ConformanceError> {
        let labels = source.labels().clone();
        let one_text = Examples::new(source, ResizeRule::Square { side: 32 });
        let two_texts = Examples {
            texts_per_image: 2,
            ..one_text.clone()
        };
        let load = |examples: &Examples| -> Result<Vec<Example>, ConformanceError> {
            let load = |index| examples.load(index, 0).map_err(ConformanceError::setup);
            (0..EXAMPLES).map(load).collect()
        };
        Ok(Self {
            device: device.clone().autodiff(),
            examples: load(&one_text)?,
            two_text_examples: load(&two_texts)?,
            labels,
            tokenizer: WordPieceTokenizer::scenes(),
            answers: None,
        })
    }

    /// Classes and attributes of the examples.
    pub fn vocabulary(&self) -> ClassVocabulary {
        ClassVocabulary::from(&self.labels)
    }

    /// A collator for the examples.
    pub fn collator(&self) -> Collator<'_> {
        Collator {
            tokenizer: &self.tokenizer,
            label_spaces: std::slice::from_ref(&self.labels),
            max_text_len: MAX_TEXT_LEN,
            seed: SEED,
            size_multiple: 8,
            answers: self.answers.as_ref(),
            all_pairs: false,
            hide_images: false,
        }
    }

    /// What the metrics of the examples need.
    pub fn metric_context(&self) -> MetricContext<'_> {
        MetricContext {
            tokenizer: &self.tokenizer,
            label_spaces: std::slice::from_ref(&self.labels),
        }
    }

    /// A model with random weights, without dropout.
    ///
    /// # Errors
    /// [`ConformanceError::Setup`] if it cannot be built.
    pub fn model(&self) -> Result<Probe, ConformanceError> {
        Probe::new(self.tokenizer.vocab_size(), &self.device)
    }

    /// An example without text, objects and label.
    pub fn bare_example(&self) -> Example {
        Example {
            objects: None,
            original_objects: None,
            label: None,
            texts: vec![String::new()],
            captions: vec![String::new()],
            negative_captions: vec![String::new()],
            ..self.examples[0].clone()
        }
    }
}

fn config(count: usize) -> ScenesConfig {
    ScenesConfig::default().with_count(count)
}
