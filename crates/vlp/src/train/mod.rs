//! Training, from a configuration to a run folder.

mod frozen_backbone;
mod identity;
mod loss_values;
mod model_selection;
mod opened_run;
mod progress;
mod recorded_step;
mod run_files;
mod session;
mod step_loader;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use burn::prelude::*;
use burn::tensor::FloatDType;
use getset::WithSetters;
use vlp_distributed::{ProcessGroup, SingleProcess};
use vlp_models::initialize;
use vlp_objectives::{ObjectiveSet, ObjectivesConfig, Pretrain, Score, VisionLanguage};
use vlp_train::MomentDtype;

use crate::config::RunConfig;
use crate::data::Datasets;
use crate::device;
use crate::error::VlpError;
use crate::eval::list_metrics;
use crate::model::{Model, build_model, build_objectives};
use crate::processes::Processes;
use crate::report::RunReport;
use crate::run::{Results, RunFolder, init_from_run};
use crate::weights::{check_hf_config, import};
use frozen_backbone::frozen_at_random;
use identity::{Identity, check_identities, describe};
use model_selection::{checkpoint_score, replacement_metric};
use opened_run::OpenedRun;
use progress::write_line;
use session::Session;

/// Deadline for opening the run, its data and its model.
const START_DEADLINE: Duration = Duration::from_secs(3600);

/// What to train, and where.
#[derive(Debug, Clone, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
pub struct TrainOptions {
    /// The resolved configuration of a new run; a resumed run has its own.
    pub config: RunConfig,
    /// A new run, or one to resume.
    pub run: RunChoice,
    /// Device name: `auto`, `flex`, `wgpu` or `cuda`.
    pub device: String,
    /// Stop after this step with a checkpoint; the run can be resumed.
    pub stop_at: Option<u64>,
    /// Once it is set, training ends after the current step with a checkpoint and [`VlpError::Stopped`].
    pub stop: Option<Arc<AtomicBool>>,
    /// The processes that train the model together; results are bit-identical to those of one process on CPUs of one
    /// kind. Only rank 0 needs the run folder.
    pub processes: Arc<dyn ProcessGroup>,
    /// Rank of this process on its host, which selects its GPU.
    pub local_rank: usize,
    /// Lowers the time that a process waits for others before it ends with exit code 4.
    pub longest_wait: Option<Duration>,
    /// A short trial, which is not told that its frozen backbone has random weights.
    pub is_trial: bool,
}

impl TrainOptions {
    /// Options to train on the best device that the build has.
    pub fn new(config: RunConfig, run: RunChoice) -> Self {
        Self {
            config,
            run,
            device: "auto".into(),
            stop_at: None,
            stop: None,
            processes: Arc::new(SingleProcess),
            local_rank: 0,
            longest_wait: None,
            is_trial: false,
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

impl RunChoice {
    /// The run folder.
    pub fn path(&self) -> &Path {
        let (Self::New(path) | Self::Resume(path)) = self;
        path
    }
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
        if config.data.answers.is_some() && config.objectives.vqa.is_none() {
            return Err(VlpError::Config(
                "data.answers: only objectives.vqa reads it; remove it, or fine-tune for vqa"
                    .into(),
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
    let processes = Processes::new(options.processes.clone(), options.longest_wait)
        .with_stop(options.stop.clone());
    let section = processes.section("start", START_DEADLINE);
    let opened = OpenedRun::open(options, &processes)?;
    let prepared = Prepared::new(options, &opened, build);
    // A single process has no other data to compare with.
    let identity = |prepared: &Prepared<O>| match processes.count() {
        1 => Ok(None),
        _ => prepared.identity(options).map(Some),
    };
    let (mut prepared, identities) = processes.gather_about(prepared, identity)?;
    let identities: Vec<Identity> = identities.into_iter().flatten().collect();
    let warnings = check_identities(&identities)?;
    let metric = prepared.choose_metric(opened.resumes())?;
    if processes.is_first() {
        let simd = Some(format!("simd: {}", device::simd_level()));
        let lines = [metric, simd, device::simd_warning(), describe(&identities)];
        for line in lines.into_iter().flatten().chain(warnings) {
            write_line(&line);
        }
    }
    let run = Run {
        processes: &processes,
        folder: None,
        config: &prepared.config,
        data: &prepared.data,
        device: &prepared.device,
        device_name: device::resolve_name(&options.device),
    };
    drop(section);
    match prepared.model {
        Model::E2eVlp(model) => run.train(model, prepared.objectives, opened, options),
        Model::Soho(model) => run.train(model, prepared.objectives, opened, options),
    }
}

/// A configuration with its data and its model of random weights.
struct Prepared<O> {
    config: RunConfig,
    data: Datasets,
    device: Device,
    model: Model,
    objectives: O,
    metrics: Vec<Score>,
}

impl<O: ObjectiveSet> Prepared<O> {
    fn new(
        options: &TrainOptions,
        opened: &OpenedRun,
        build: impl FnOnce(&RunConfig, &Datasets, &Device) -> Result<O, VlpError>,
    ) -> Result<Self, VlpError> {
        let device = device::pick_local(&options.device, options.local_rank)?;
        let config = opened.config(options)?;
        config.validate()?;
        if let Some(step) = options.stop_at {
            opened.check_stop_at(step, &config)?;
        }
        config
            .train
            .check_processes(options.processes.world_size())?;
        let data = Datasets::open_with_tokenizer(&config, opened.tokenizer(&config)?)?;
        // The trainer sets it, too, but after the model has been built.
        config.train.precision.set(&device)?;
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
        Ok(Self {
            config,
            data,
            device,
            model,
            objectives,
            metrics,
        })
    }

    fn identity(&self, options: &TrainOptions) -> Result<Identity, VlpError> {
        Identity::new(
            &self.config,
            &self.data,
            device::resolve_name(&options.device),
        )
    }

    /// Chooses the metric of the best checkpoint of a new run, if the configuration leaves it open. Returns a message
    /// if it is not the usual one.
    fn choose_metric(&mut self, resumes: bool) -> Result<Option<String>, VlpError> {
        let checkpoint = &mut self.config.checkpoint;
        let mut message = None;
        if !resumes
            && !checkpoint.best_by_is_set
            && let Some(metric) = replacement_metric(&self.metrics, &checkpoint.best_by)
        {
            message = Some(format!(
                "checkpoint.best_by = \"{metric}\": these objectives have no {}",
                checkpoint.best_by
            ));
            checkpoint.best_by = metric.into();
        }
        checkpoint_score(&self.metrics, &checkpoint.best_by)?;
        Ok(message)
    }
}

/// The parts of a run that do not depend on the type of the model.
#[derive(Clone, Copy)]
struct Run<'a> {
    processes: &'a Processes,
    /// The folder, in the first process, once it has been made.
    folder: Option<&'a RunFolder>,
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
        mut opened: OpenedRun,
        options: &TrainOptions,
    ) -> Result<Results, VlpError> {
        let section = self.processes.section("start", START_DEADLINE);
        let model = initialize(Pretrain { model, objectives }, self.config.seed);
        let loaded = self.load_initial_weights(model, opened.has_checkpoint());
        let prepared =
            loaded.and_then(|(model, notes)| Ok((Session::<M, O>::trainer(self, model)?, notes)));
        let ((trainer, mut notes), _) = self.processes.gather_about(prepared, |_| Ok(()))?;
        opened.create(options, self)?;
        if let Some(note) = frozen_at_random(self.config).filter(|_| !options.is_trial) {
            if self.processes.is_first() {
                write_line(&note);
            }
            notes.push(note);
        }
        drop(section);
        let start = opened.take_start();
        let run = Run {
            folder: opened.folder(),
            ..*self
        };
        let mut session = Session::start(run, trainer, start, notes)?;
        if let Some(model) = session.run(options)? {
            let Some(folder) = run.folder else {
                return Ok(session.results);
            };
            let page = RunReport {
                folder,
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
    fn load_initial_weights<M: Module>(
        &self,
        mut model: M,
        resumes: bool,
    ) -> Result<(M, Vec<String>), VlpError> {
        let config = self.config;
        if resumes {
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
            let spaces = &self.data.label_spaces;
            let checkpoint = config.from_checkpoint;
            let loaded = init_from_run(model, from, checkpoint, spaces, self.device)?;
            if loaded.tokenizer_sha256 != self.data.tokenizer.sha256() {
                return Err(VlpError::Config(format!(
                    "data.tokenizer = \"{}\": {} was trained with another vocabulary; use its tokenizer",
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
