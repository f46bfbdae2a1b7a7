//! Training and validation data of a configuration.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use vlp_data::{
    AnswerVocabulary, BatchPlan, Example, Examples, LabelSpace, Loader, LoaderConfig,
    SkippedBudget, Source, Subset, WithLabelSpaces, split_by_key,
};
use vlp_objectives::{Collator, MetricContext};
use vlp_scenes::Split;
use vlp_text::WordPieceTokenizer;

use super::label_spaces::{alternate, label_space_notes, read_label_spaces};
use super::source::{answer_vocabulary, open_for_labels, open_source};
use super::tokenizer::{load_tokenizer, relative_path_hint};
use super::training_source::open_training_source;
use super::vocabulary::Vocabulary;
use crate::config::{RunConfig, SourceKind, TaskKind};
use crate::error::VlpError;

/// Training and validation data of a run.
#[non_exhaustive]
pub struct Datasets {
    /// Training samples; none if only the validation data were opened, for an evaluation.
    pub train: Arc<dyn Source>,
    /// Validation samples, never trained on.
    pub validation: Arc<dyn Source>,
    /// Names of classes and attributes: a label space for each class head, in the order of the sources.
    pub label_spaces: Vec<LabelSpace>,
    /// The tokenizer.
    pub tokenizer: WordPieceTokenizer,
    /// Answers to questions; empty for data without questions.
    pub answers: AnswerVocabulary,
    /// Messages about skipped annotations.
    pub notes: Vec<String>,
}

impl fmt::Debug for Datasets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datasets")
            .field("train", &self.train.name())
            .field("validation", &self.validation.name())
            .finish_non_exhaustive()
    }
}

impl Datasets {
    /// Opens the sources and the tokenizer of `config.data`.
    ///
    /// # Errors
    /// [`VlpError::Config`] for sources that cannot be read or leave no training or validation samples.
    pub fn open(config: &RunConfig) -> Result<Self, VlpError> {
        Self::open_with_tokenizer(config, load_tokenizer(&config.data.tokenizer)?)
    }

    /// Opens the sources of `config.data`, with the tokenizer of a run.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_tokenizer(
        config: &RunConfig,
        tokenizer: WordPieceTokenizer,
    ) -> Result<Self, VlpError> {
        Self::open_with_labels(config, tokenizer, &[])
    }

    /// As [`Self::open_with_tokenizer`], for a model that was trained for the classes of these label spaces; none for a new
    /// model.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_with_labels(
        config: &RunConfig,
        tokenizer: WordPieceTokenizer,
        trained: &[LabelSpace],
    ) -> Result<Self, VlpError> {
        let data = &config.data;
        let opened = open_training_source(data, read_label_spaces(config, trained))?;
        let label_spaces = opened.source.label_spaces().to_vec();
        let mut notes = opened.notes;
        let (train, validation): (Arc<dyn Source>, Arc<dyn Source>) = match &data.validation {
            Some(spec) => {
                let count = validation_scenes(config);
                let fixed = read_label_spaces(config, &label_spaces);
                let validation =
                    open_for_labels("data.validation", spec, data, fixed, Split::Test, count)?;
                notes.extend(validation.notes);
                let source = check_validation(config, spec, &label_spaces, validation.source)?;
                (opened.source, source)
            }
            // Scenes have a test split.
            None if data.kind()? == SourceKind::Scenes => {
                let count = validation_scenes(config);
                let validation =
                    open_source("data.source", &data.source, data, None, Split::Test, count)?;
                (opened.source, validation.source)
            }
            None => {
                let (validation, train) =
                    split_by_key(&opened.source, data.validation_fraction, config.seed)?;
                let validation = alternate(Arc::new(validation), label_spaces.len())?;
                (Arc::new(train), validation)
            }
        };
        for (split, source) in [("training", &train), ("validation", &validation)] {
            if !source.is_empty() {
                continue;
            }
            return Err(VlpError::Config(match data.kind()? {
                SourceKind::Scenes => format!(
                    "data.scenes.count = {}: there are none for {split}; use at least 1",
                    data.scenes.count
                ),
                _ => format!(
                    "data.source = \"{}\" has no images left for {split} (data.validation_fraction = {}); use another fraction or more images",
                    data.source, data.validation_fraction
                ),
            }));
        }
        notes.extend(label_space_notes(
            config,
            &label_spaces,
            validation.as_ref(),
        ));
        Ok(Self {
            label_spaces,
            train,
            validation,
            tokenizer,
            answers: match &data.answers {
                Some(file) => AnswerVocabulary::read(file).map_err(|e| {
                    let hint = relative_path_hint(file).unwrap_or_default();
                    VlpError::Config(format!("data.answers: {e}{hint}"))
                })?,
                None => answer_vocabulary(&opened.consensus, data.min_answers),
            },
            notes,
        })
    }

    /// The validation data alone, for a model that was trained for the classes of these label spaces: `data.validation` or, if
    /// `whole_source`, all of `data.source`. Without either, the part of the training data that was held out.
    ///
    /// [`Self::label_spaces`] are those of the model, unless objects are detected and the data have boxes of other classes.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_for_evaluation(
        config: &RunConfig,
        whole_source: bool,
        tokenizer: WordPieceTokenizer,
        trained: &[LabelSpace],
    ) -> Result<Self, VlpError> {
        let data = &config.data;
        let (key, spec) = match &data.validation {
            Some(spec) => ("data.validation", spec),
            None if whole_source => ("data.source", &data.source),
            None => {
                let data = Self::open_with_labels(config, tokenizer, trained)?;
                return Ok(data.numbered_as(trained));
            }
        };
        let fixed = read_label_spaces(config, trained);
        let count = validation_scenes(config);
        let opened = open_for_labels(key, spec, data, fixed, Split::Test, count)?;
        if opened.source.is_empty() {
            return Err(has_no_images(key, spec));
        }
        let data = Self {
            label_spaces: opened.source.label_spaces().to_vec(),
            train: Arc::new(Subset::new(Arc::clone(&opened.source), vec![], "none")?),
            validation: opened.source,
            tokenizer,
            answers: AnswerVocabulary::new(vec![]),
            notes: opened.notes,
        };
        Ok(data.numbered_as(trained))
    }

    /// The label spaces of the validation samples as numbered by a trained model; as they are if it does not have them.
    fn numbered_as(mut self, trained: &[LabelSpace]) -> Self {
        let validation = Arc::clone(&self.validation);
        if let Ok(validation) = WithLabelSpaces::new(validation, trained.to_vec()) {
            self.label_spaces = validation.label_spaces().to_vec();
            self.validation = Arc::new(validation);
        }
        self
    }

    /// Names of the outputs of a model that is trained on these data.
    pub(crate) fn vocabulary(&self) -> Vocabulary {
        Vocabulary {
            label_spaces: self.label_spaces.clone(),
            answers: self.answers.answers().to_vec(),
            tokenizer_sha256: self.tokenizer.sha256(),
        }
    }

    /// The collator for these examples.
    pub fn collator<'a>(&'a self, config: &RunConfig) -> Collator<'a> {
        Collator {
            tokenizer: &self.tokenizer,
            label_spaces: &self.label_spaces,
            max_text_len: config.data.max_text_len,
            seed: config.seed,
            size_multiple: config.data.pad_multiple,
            answers: Some(&self.answers),
            all_pairs: config.data.all_pairs,
            hide_images: config.data.hide_images,
        }
    }

    /// The metric context of these data.
    pub(crate) fn metric_context(&self) -> MetricContext<'_> {
        MetricContext {
            tokenizer: &self.tokenizer,
            label_spaces: &self.label_spaces,
        }
    }

    /// The `micro_batches` of each training step, from training step `start_step` on.
    ///
    /// # Errors
    /// [`VlpError::Data`] for values that the loader refuses.
    pub fn loader(
        &self,
        config: &RunConfig,
        start_step: u64,
        micro_batches: Range<usize>,
    ) -> Result<Loader, VlpError> {
        let accumulate = config.train.accumulate;
        let data = &config.data;
        let plan = BatchPlan::new(config.seed, data.batch_size.min(self.train.len()))
            .with_bucket_by_shape(data.bucket_by_shape)
            .with_window(data.window)
            .with_lanes(data.lanes);
        let loader = LoaderConfig::new(plan, data.resize.clone())
            .with_workers(data.workers)
            .with_start_step(start_step * accumulate as u64)
            .with_accumulate(accumulate)
            .with_micro_batches(Some(micro_batches))
            .with_negative_caption(data.negative_caption)
            .with_negative_from(data.negative_from)
            .with_texts_per_image(data.texts_per_image);
        Ok(Loader::start(Arc::clone(&self.train), loader)?)
    }

    /// Limits the skipped training samples to `data.max_bad_fraction`.
    ///
    /// # Errors
    /// [`VlpError::Data`] if that is not a fraction.
    pub fn skipped_budget(&self, config: &RunConfig) -> Result<SkippedBudget, VlpError> {
        let fraction = config.data.max_bad_fraction;
        Ok(SkippedBudget::new(fraction, self.train.len())?)
    }

    /// Loads the validation examples of these indices. Returns the readable ones and messages about the others.
    ///
    /// # Errors
    /// [`VlpError::Data`] if a store of samples cannot be read.
    pub fn load_validation(
        &self,
        config: &RunConfig,
        range: Range<usize>,
    ) -> Result<(Vec<Example>, Vec<String>), VlpError> {
        let range = range.start..range.end.min(self.validation.len());
        self.load_validation_samples(config, range)
    }

    /// Loads the first `count` validation images, each once: an example of the image's first sample with the captions of
    /// all its samples. Returns the readable ones and messages about the others.
    ///
    /// # Errors
    /// As [`load_validation`](Self::load_validation).
    pub fn load_validation_images(
        &self,
        config: &RunConfig,
        count: usize,
    ) -> Result<(Vec<Example>, Vec<String>), VlpError> {
        let mut other_samples: HashMap<u64, Vec<usize>> = HashMap::new();
        let mut indices = vec![];
        for index in 0..self.validation.len() {
            match other_samples.entry(self.validation.key(index)) {
                Entry::Occupied(mut samples) => samples.get_mut().push(index),
                Entry::Vacant(samples) if indices.len() < count => {
                    samples.insert(vec![]);
                    indices.push(index);
                }
                Entry::Vacant(_) => {}
            }
        }
        let (mut examples, errors) = self.load_validation_samples(config, indices)?;
        for example in &mut examples {
            for &other in other_samples.get(&example.key).into_iter().flatten() {
                let captions = match self.validation.captions(other) {
                    Err(error) if error.is_of_store() => return Err(error.into()),
                    captions => captions.unwrap_or_default(),
                };
                for caption in captions {
                    if !example.captions.contains(&caption) {
                        example.captions.push(caption);
                    }
                }
            }
        }
        Ok((examples, errors))
    }

    fn load_validation_samples(
        &self,
        config: &RunConfig,
        indices: impl IntoIterator<Item = usize>,
    ) -> Result<(Vec<Example>, Vec<String>), VlpError> {
        let data = &config.data;
        let rule = data.eval_resize.as_ref().unwrap_or(&data.resize).clone();
        let loader = Examples {
            texts_per_image: data.texts_per_image,
            ..Examples::new(Arc::clone(&self.validation), rule)
        };
        let (mut examples, mut errors) = (vec![], vec![]);
        for index in indices {
            match loader.load(index, 0) {
                Ok(example) => examples.push(example),
                Err(error) if error.is_of_store() => return Err(error.into()),
                Err(error) => errors.push(error.to_string()),
            }
        }
        Ok((examples, errors))
    }
}

/// Checks that `data.validation` has images, and classes of the training data if objects are detected. Returns it with their
/// label spaces.
fn check_validation(
    config: &RunConfig,
    spec: &str,
    label_spaces: &[LabelSpace],
    validation: Arc<dyn Source>,
) -> Result<Arc<dyn Source>, VlpError> {
    if validation.is_empty() {
        return Err(has_no_images("data.validation", spec));
    }
    match WithLabelSpaces::new(Arc::clone(&validation), label_spaces.to_vec()) {
        Ok(validation) => Ok(Arc::new(validation)),
        Err(_) if config.objectives.detection.is_none() => Ok(validation),
        Err(_) => Err(VlpError::Config(format!(
            "data.validation = \"{spec}\": its classes or attributes are not those of the training data, in their order; use a source with the same ones, or objectives.detection=off"
        ))),
    }
}

fn has_no_images(key: &str, spec: &str) -> VlpError {
    VlpError::Config(format!(
        "{key} = \"{spec}\": it has no images; use another source"
    ))
}

/// Number of generated validation scenes.
fn validation_scenes(config: &RunConfig) -> usize {
    let count = config.eval.examples.max(config.eval.images).max(1);
    match config.data.task {
        // A statement is about two scenes, and not every pair of scenes has one.
        TaskKind::Nlvr2 => 4 * count.max(64),
        _ => count,
    }
}
