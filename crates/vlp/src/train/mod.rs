//! Training, from a configuration to a run folder.

mod loss_values;
mod model_selection;
mod progress;
mod session;

use getset::WithSetters;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::prelude::*;
use burn::tensor::FloatDType;
use vlp_models::initialize;
use vlp_objectives::{ObjectiveSet, ObjectivesConfig, Pretrain, VisionLanguage};
use vlp_text::WordPieceTokenizer;
use vlp_train::{CheckpointStore, MomentDtype};

use crate::config::RunConfig;
use crate::data::{Datasets, Vocabulary, load_tokenizer, read_tokenizer_copy};
use crate::device;
use crate::error::VlpError;
use crate::eval::list_metrics;
use crate::model::{Model, build_model, build_objectives};
use crate::report::RunReport;
use crate::run::{Results, RunFolder, init_from_run};
use crate::weights::{check_hf_config, import};
use model_selection::{checkpoint_score, replacement_metric};
use progress::write_line;
use session::Session;

/// What to train, and where.
#[derive(Debug, Clone, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
pub struct TrainOptions {
    /// The resolved configuration of a new run; a resumed run has its own.
    pub config: RunConfig,
    /// A new run, or one to resume.
    pub run: RunChoice,
    /// Device name: `auto`, `flex`, `flex-bf16`, `wgpu` or `cuda`.
    pub device: String,
    /// Stop after this step, as if the process were killed; the run can be resumed.
    pub stop_at: Option<u64>,
    /// Once it is set, training ends after the current step with a checkpoint and [`VlpError::Stopped`].
    pub stop: Option<Arc<AtomicBool>>,
}

impl TrainOptions {
    /// Trains on the best device that the build has.
    pub fn new(config: RunConfig, run: RunChoice) -> Self {
        Self {
            config,
            run,
            device: "auto".into(),
            stop_at: None,
            stop: None,
        }
    }
}

/// A new run, or one to resume.
#[derive(Debug, Clone)]
pub enum RunChoice {
    /// A folder that does not exist, or is empty.
    New(PathBuf),
    /// The folder of a run that was stopped.
    Resume(PathBuf),
}

/// Trains a model with the configured objectives and writes the run folder.
///
/// # Errors
/// Any of [`VlpError`].
pub fn train(options: &TrainOptions) -> Result<Results, VlpError> {
    let build = |config: &RunConfig, data: &Datasets, device: &Device| {
        if config.objectives == ObjectivesConfig::default() {
            return Err(VlpError::Config(
                "objectives: all are switched off; configure at least one".into(),
            ));
        }
        build_objectives(config, data, device)
    };
    train_with(options, build)
}

/// Trains a model with your own objectives, which `build` builds. The run folder is as from [`train`].
///
/// # Errors
/// Those of `build`, and any of [`VlpError`].
pub fn train_with<O: ObjectiveSet>(
    options: &TrainOptions,
    build: impl FnOnce(&RunConfig, &Datasets, &Device) -> Result<O, VlpError>,
) -> Result<Results, VlpError> {
    let device = device::pick(&options.device)?;
    let (resumed, mut config) = match &options.run {
        RunChoice::New(path) => {
            RunFolder::check_vacant(path)?;
            (None, options.config.clone())
        }
        RunChoice::Resume(path) => {
            let (folder, config) = RunFolder::open(path)?;
            let lock = folder.lock()?;
            (Some((folder, lock)), config)
        }
    };
    config.validate()?;
    let tokenizer = match &resumed {
        Some((folder, _)) => resumed_tokenizer(folder, &config)?,
        None => load_tokenizer(&config.data.tokenizer)?,
    };
    let data = Datasets::open_with_tokenizer(&config, tokenizer)?;
    let bf16_moments = config.train.optimizer.moment_dtype == MomentDtype::Bf16;
    if bf16_moments && !device.supports_dtype(FloatDType::BF16) {
        return Err(VlpError::Config(format!(
            "train.optimizer.moment_dtype = bf16: {} does not support bf16; use f32",
            options.device
        )));
    }
    let autodiff = device.clone().autodiff();
    let model = build_model(&config, &data.tokenizer, &autodiff)?;
    let objectives = build(&config, &data, &autodiff)?;
    let metrics = list_metrics(&objectives, &config, &data)?;
    let checkpoint = &mut config.checkpoint;
    if resumed.is_none()
        && !checkpoint.best_by_is_set
        && let Some(metric) = replacement_metric(&metrics, &checkpoint.best_by)
    {
        write_line(&format!(
            "checkpoint.best_by = \"{metric}\": these objectives have no {}",
            checkpoint.best_by
        ));
        checkpoint.best_by = metric.into();
    }
    checkpoint_score(&metrics, &config.checkpoint.best_by)?;
    // Created only now: an error in the configuration or the data leaves no folder behind.
    let (folder, _lock) = match (resumed, &options.run) {
        (Some(resumed), _) => resumed,
        (None, RunChoice::New(path) | RunChoice::Resume(path)) => {
            RunFolder::create(path, &config, &data.tokenizer)?
        }
    };
    let vocabulary = Vocabulary {
        labels: data.labels.clone(),
        answers: data.answers.answers().to_vec(),
        tokenizer_sha256: data.tokenizer.sha256(),
    };
    match folder.read_json::<Vocabulary>(&folder.vocabulary())? {
        Some(trained) => check_unchanged(&trained, &vocabulary, &folder)?,
        None => folder.write_json(&folder.vocabulary(), &vocabulary)?,
    }
    write_line(&format!("simd: {}", device::simd_level()));
    if let Some(warning) = device::simd_warning() {
        write_line(&warning);
    }
    let run = Run {
        folder: &folder,
        config: &config,
        data: &data,
        device: &device,
        device_name: device::resolve_name(&options.device),
    };
    match model {
        Model::E2eVlp(model) => run.train(model, objectives, options),
        Model::Soho(model) => run.train(model, objectives, options),
    }
}

/// Checks that the data of a resumed run still have the classes and answers that its model's outputs stand for.
fn check_unchanged(
    trained: &Vocabulary,
    current: &Vocabulary,
    folder: &RunFolder,
) -> Result<(), VlpError> {
    let changed = match trained {
        _ if trained.labels != current.labels => "classes",
        _ if trained.answers != current.answers => "answers",
        _ => return Ok(()),
    };
    Err(VlpError::RunFolder {
        path: folder.vocabulary(),
        reason: format!(
            "the {changed} of the data have changed since the run was started; restore the data, or start a new run"
        ),
    })
}

/// The tokenizer of a run that is resumed: its own copy, whatever became of the file it was read from.
fn resumed_tokenizer(
    folder: &RunFolder,
    config: &RunConfig,
) -> Result<WordPieceTokenizer, VlpError> {
    let file = folder.tokenizer();
    let tokenizer = match folder.read_json::<Vocabulary>(&folder.vocabulary())? {
        Some(vocabulary) => read_tokenizer_copy(&file, &vocabulary.tokenizer_sha256)?,
        // It was killed before it wrote vocabulary.json.
        None => WordPieceTokenizer::from_tokenizer_json(&file)?,
    };
    let name = &config.data.tokenizer;
    let is_same = load_tokenizer(name).is_ok_and(|source| source.sha256() == tokenizer.sha256());
    if !is_same {
        write_line(&format!(
            "data.tokenizer = \"{name}\" is missing or has changed: using {}",
            file.display()
        ));
    }
    Ok(tokenizer)
}

/// The parts of a run that do not depend on the type of the model.
#[derive(Clone, Copy)]
struct Run<'a> {
    folder: &'a RunFolder,
    config: &'a RunConfig,
    data: &'a Datasets,
    /// The device without autodiff.
    device: &'a Device,
    device_name: &'a str,
}

impl Run<'_> {
    fn train<M: VisionLanguage, O: ObjectiveSet>(
        &self,
        model: M,
        objectives: O,
        options: &TrainOptions,
    ) -> Result<Results, VlpError> {
        let model = initialize(Pretrain { model, objectives }, self.config.seed);
        let (model, notes) = self.load_initial_weights(model)?;
        let mut session = Session::start(*self, model, notes)?;
        if session.train(options)? {
            let model = session.finish()?;
            let page = RunReport {
                folder: self.folder,
                config: self.config,
                data: self.data,
                model: &model,
                device: self.device,
                results: &session.results,
                notes: session.notes(),
            };
            page.write()?;
        }
        Ok(session.results)
    }

    /// Loads the configured initial weights. Returns messages too.
    fn load_initial_weights<M: Module>(&self, mut model: M) -> Result<(M, Vec<String>), VlpError> {
        let config = self.config;
        let checkpoints = CheckpointStore::open(self.folder.checkpoints());
        if !checkpoints.steps()?.is_empty() {
            // A resumed run reads its checkpoint; the files of the initial weights may be gone.
            let files = config.weights.iter().chain(&config.from);
            let notes = files.map(|file| format!("initial weights from {}", file.display()));
            return Ok((model, notes.collect()));
        }
        let mut notes = vec![];
        for file in &config.weights {
            let differences = check_hf_config(file, &config.model)?;
            let (loaded, note) = import(model, file)?;
            model = loaded;
            notes.push(note);
            notes.extend(differences);
        }
        if let Some(from) = &config.from {
            let loaded = init_from_run(model, from, config.from_checkpoint, self.device)?;
            if loaded.tokenizer_sha256 != self.data.tokenizer.sha256() {
                return Err(VlpError::Config(format!(
                    "data.tokenizer = \"{}\": {} was trained with another vocabulary",
                    config.data.tokenizer,
                    from.display()
                )));
            }
            model = loaded.module;
            notes.extend(loaded.notes);
        }
        Ok((model, notes))
    }
}
