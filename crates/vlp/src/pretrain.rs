//! Pre-training: from a configuration to a run folder.

use std::path::PathBuf;
use std::time::Instant;

use burn::prelude::*;
use burn::tensor::FloatDType;
use vlp_data::LoadedBatch;
use vlp_models::{ObjectivesConfig, initialise};
use vlp_objectives::tally::Score;
use vlp_objectives::{Batcher, ObjectiveError, ObjectiveSet, Pretrain, VisionLanguage, total};
use vlp_train::{CheckpointStore, MomentType, RunLog, StepReport, Trainer};

use crate::adopt::adopt;
use crate::beside;
use crate::build;
use crate::config::RunConfig;
use crate::data::Datasets;
use crate::device;
use crate::error::VlpError;
use crate::evaluate::heldout;
use crate::losses::{host, mean};
use crate::progress::{Progress, clock};
use crate::report::{Page, View};
use crate::results::Results;
use crate::run::RunFolder;
use crate::trained::Vocabulary;
use crate::weights::import;

/// What to run.
#[derive(Debug, Clone)]
pub struct PretrainOptions {
    /// The resolved configuration of a new run; a resumed one has its own.
    pub config: RunConfig,
    /// A new folder for the run, or the folder of a run to go on with.
    pub run: RunChoice,
    /// Device name: `auto`, `flex`, `flex-bf16`, `wgpu` or `cuda`.
    pub device: String,
    /// Stop after this step as if killed, leaving the run to be resumed.
    pub stop_at: Option<u64>,
}

/// A new run or one to go on with.
#[derive(Debug, Clone)]
pub enum RunChoice {
    /// A folder that must not exist, or be empty.
    New(PathBuf),
    /// The folder of a run that was stopped.
    Resume(PathBuf),
}

/// Trains a model with the objectives as configured and leaves the run folder.
pub fn pretrain(options: &PretrainOptions) -> Result<Results, VlpError> {
    let make = |config: &RunConfig, data: &Datasets, device: &Device| {
        if config.objectives == ObjectivesConfig::default() {
            return Err(VlpError::Config(
                "objectives: all are switched off; leave on itm, mlm, mvm, detection or caption"
                    .into(),
            ));
        }
        build::objectives(config, data, device)
    };
    pretrain_with(options, make, |set| View::from(set))
}

/// Trains a model with objectives of your own: `make` builds them, `view` says which of them the report
/// page can show. The run folder is that of [`pretrain`].
pub fn pretrain_with<O: ObjectiveSet>(
    options: &PretrainOptions,
    make: impl FnOnce(&RunConfig, &Datasets, &Device) -> Result<O, VlpError>,
    view: impl Fn(&O) -> View<'_>,
) -> Result<Results, VlpError> {
    let plain = device::pick(&options.device)?;
    let (resumed, config) = match &options.run {
        RunChoice::New(path) => {
            RunFolder::vacant(path)?;
            (None, options.config.clone())
        }
        RunChoice::Resume(path) => {
            let (folder, config) = RunFolder::open(path)?;
            let held = folder.lock()?;
            (Some((folder, held)), config)
        }
    };
    config.validate()?;
    let data = Datasets::open(&config)?;
    let narrow = config.train.optimizer.moments == MomentType::Bf16;
    if narrow && !plain.supports_dtype(FloatDType::BF16) {
        return Err(VlpError::Config(format!(
            "train.optimizer.moments = bf16: {} does not compute with bf16; use f32",
            options.device
        )));
    }
    let device = plain.clone().autodiff();
    let model = build::model(&config, &data.pieces, &device)?;
    let objectives = make(&config, &data, &device)?;
    // Only now: a mistake in the configuration or the data leaves no folder in the way.
    let (folder, _held) = match (resumed, &options.run) {
        (Some(resumed), _) => resumed,
        (None, RunChoice::New(path) | RunChoice::Resume(path)) => RunFolder::create(path, &config)?,
    };
    let vocabulary = Vocabulary {
        labels: data.labels.clone(),
        answers: data.answers.answers().to_vec(),
    };
    folder.write_json(&folder.vocabulary(), &vocabulary)?;
    let run = Run {
        folder: &folder,
        config: &config,
        data: &data,
        plain: &plain,
        device: device::named(&options.device),
    };
    match model {
        build::Model::E2eVlp(model) => run.go(model, objectives, options.stop_at, view),
        build::Model::Soho(model) => run.go(model, objectives, options.stop_at, view),
    }
}

/// What is the same for every model.
struct Run<'a> {
    folder: &'a RunFolder,
    config: &'a RunConfig,
    data: &'a Datasets,
    plain: &'a Device,
    /// Its name.
    device: &'a str,
}

impl Run<'_> {
    fn go<M: VisionLanguage, O: ObjectiveSet>(
        &self,
        model: M,
        objectives: O,
        stop_at: Option<u64>,
        view: impl Fn(&O) -> View<'_>,
    ) -> Result<Results, VlpError> {
        let Run {
            folder,
            config,
            data,
            plain,
            device,
        } = *self;
        let mut model = initialise(Pretrain { model, objectives }, config.seed);
        let mut notes = vec![];
        // A run that goes on has its weights in a checkpoint; where it began need not be there any more.
        let checkpoints = CheckpointStore::open(folder.checkpoints(), config.checkpoint.keep)?;
        if checkpoints.steps()?.is_empty() {
            for file in &config.weights {
                let differences = beside::check(file, &config.model)?;
                let (filled, note) = import(model, file)?;
                notes.push(note);
                notes.extend(differences);
                model = filled;
            }
            if let Some(from) = &config.from {
                let adopted = adopt(model, from, plain)?;
                (model, notes) = (adopted.module, adopted.notes);
            }
        } else {
            let origins = config.weights.iter().chain(&config.from);
            notes.extend(origins.map(|origin| format!("started from {}", origin.display())));
        }
        let mut session = Session::start(folder, config, data, model, plain, &view)?;
        session.results.device = device.into();
        session.notes.extend(notes);
        if !session.train(stop_at)? {
            return Ok(session.results);
        }
        session.finish()?;
        let model = session.trainer.shipped();
        let page = Page {
            folder,
            config,
            data,
            model: &model.model,
            view: view(&model.objectives),
            parameters: model.num_params(),
            device: plain,
            results: &session.results,
            notes: [session.notes.as_slice(), &session.unread].concat(),
        };
        page.write()?;
        Ok(session.results)
    }
}

/// A run under way.
struct Session<'a, M: VisionLanguage, O: ObjectiveSet, V> {
    view: &'a V,
    folder: &'a RunFolder,
    config: &'a RunConfig,
    data: &'a Datasets,
    batcher: Batcher<'a>,
    plain: &'a Device,
    trainer: Trainer<Pretrain<M, O>>,
    checkpoints: CheckpointStore,
    log: RunLog,
    fingerprint: String,
    results: Results,
    notes: Vec<String>,
    /// Held-out examples that the last scoring could not read, and why.
    unread: Vec<String>,
    earlier: f64,
    started: Instant,
}

impl<'a, M: VisionLanguage, O: ObjectiveSet, V: Fn(&O) -> View<'_>> Session<'a, M, O, V> {
    /// Resumes the newest whole checkpoint, or scores the untrained model.
    fn start(
        folder: &'a RunFolder,
        config: &'a RunConfig,
        data: &'a Datasets,
        model: Pretrain<M, O>,
        plain: &'a Device,
        view: &'a V,
    ) -> Result<Self, VlpError> {
        let fingerprint = config.fingerprint()?;
        let checkpoints = CheckpointStore::open(folder.checkpoints(), config.checkpoint.keep)?;
        let mut trainer = Trainer::new(model, config.train.clone())?;
        let mut notes = data.notes.clone();
        let resumed = !checkpoints.steps()?.is_empty();
        if resumed {
            let (checkpoint, refused) = checkpoints.latest()?;
            notes.extend(refused.iter().map(|e| format!("passed over: {e}")));
            trainer = trainer.resume(&checkpoint, &fingerprint)?;
        }
        let batcher = data.batcher(config);
        let log = RunLog::open(&folder.path, trainer.step_count())?;
        let saved: Option<Results> = folder.read_json(&folder.results())?;
        let mut session = Self {
            view,
            folder,
            config,
            data,
            batcher,
            plain,
            trainer,
            checkpoints,
            log,
            fingerprint,
            earlier: saved.as_ref().map_or(0.0, |s| s.seconds),
            results: saved.unwrap_or_default(),
            notes,
            unread: vec![],
            started: Instant::now(),
        };
        if session.results.untrained.is_empty() {
            session.results.from = config.from.is_some() || !config.weights.is_empty();
            session.results.untrained = session.score()?;
            session
                .folder
                .write_json(&session.folder.results(), &session.results)?;
        }
        Ok(session)
    }

    /// Scores the shipped model on the held-out examples.
    fn score(&mut self) -> Result<Vec<Score>, VlpError> {
        let model = self.trainer.shipped();
        let heads = (self.view)(&model.objectives);
        let found = heldout(&model, heads, self.config, self.data, self.plain)?;
        (self.unread, self.results.examples) = (found.unread, found.examples);
        Ok(found.scores)
    }

    /// Trains to the end (true) or to `stop_at` (false).
    fn train(&mut self, stop_at: Option<u64>) -> Result<bool, VlpError> {
        let total_steps = self.config.train.steps;
        let accumulate = self.config.train.accumulate as u64;
        let mut loader = self
            .data
            .loader(self.config, self.trainer.step_count() * accumulate)?;
        let mut progress = Progress::new(self.trainer.step_count(), total_steps);
        while self.trainer.step_count() < total_steps {
            if stop_at.is_some_and(|at| self.trainer.step_count() >= at) {
                progress.finish();
                return Ok(false);
            }
            let mut batches = Vec::with_capacity(accumulate as usize);
            for _ in 0..accumulate {
                let batch = loader.next()?;
                for fault in &batch.skipped {
                    progress.line(&format!("skipped a sample: {fault}"));
                    self.notes.push(fault.to_string());
                }
                batches.push(batch);
            }
            let (report, losses) = self.step(&batches)?;
            let step = self.trainer.step_count();
            if let Some(reason) = &report.skipped {
                progress.line(&format!("step {step} skipped: {reason}"));
                self.notes.push(format!("step {step} skipped: {reason}"));
            }
            let shown: Vec<(String, f32)> = losses
                .iter()
                .filter(|(name, _)| !name.contains('.'))
                .map(|(n, v)| (n.clone(), *v))
                .collect();
            progress.step(step, &shown, batches.iter().map(|b| b.examples.len()).sum());
            let mut record: Vec<(String, f32)> = losses
                .into_iter()
                .map(|(name, value)| (format!("loss/{name}"), value))
                .collect();
            record.push(("train/grad_norm".into(), report.grad_norm));
            record.push(("train/rate_factor".into(), report.rate_factor as f32));
            record.push(("train/skipped_steps".into(), self.trainer.skipped() as f32));
            self.log.write(step, &record)?;
            let due = |every: u64| step == total_steps || (every > 0 && step.is_multiple_of(every));
            let mut score = None;
            if due(self.config.eval.every) {
                let scores = self.score()?;
                let record: Vec<(String, f32)> = scores
                    .iter()
                    .filter_map(|(name, value)| {
                        Some((format!("eval/{name}"), value.as_ref().copied()? as f32))
                    })
                    .collect();
                self.log.write(step, &record)?;
                score = Some(mean(&scores));
                self.results.trained = scores;
            }
            if due(self.config.checkpoint.every) {
                self.results.seconds = self.earlier + self.started.elapsed().as_secs_f64();
                self.results.step = step;
                self.results.skipped_steps = self.trainer.skipped();
                self.folder
                    .write_json(&self.folder.results(), &self.results)?;
                let files = self.trainer.save()?;
                self.checkpoints
                    .save(&self.trainer.state(&self.fingerprint), &files, score)?;
            }
        }
        progress.finish();
        let idle = loader.idle().as_secs_f64();
        let share = 100.0 * idle / self.started.elapsed().as_secs_f64().max(1e-9);
        self.notes.push(format!(
            "waited for data {} ({share:.1} % of the training time)",
            clock(idle)
        ));
        Ok(true)
    }

    /// One optimiser step over the accumulated batches; losses are means over them.
    fn step(
        &mut self,
        batches: &[LoadedBatch],
    ) -> Result<(StepReport, Vec<(String, f32)>), VlpError> {
        let device = self.plain.clone().autodiff();
        let batcher = self.batcher;
        let (report, values) = self.trainer.step_side_by_side(
            self.config.seed,
            |model: &Pretrain<M, O>, micro| -> Result<_, VlpError> {
                let skip = |reason: String| Ok((Err(reason), vec![]));
                let examples = &batches[micro].examples;
                if examples.is_empty() {
                    return skip("no sample of the batch could be read".into());
                }
                let batch = batcher.batch(&model.objectives, examples, &device)?;
                let losses = match model.losses(&batch) {
                    Ok(losses) => losses,
                    Err(error @ ObjectiveError::NonFinite { .. }) => {
                        return skip(error.to_string());
                    }
                    Err(error) => return Err(error.into()),
                };
                let Some(sum) = total(&losses) else {
                    return skip("no objective has a loss".into());
                };
                let values = host(&losses, &sum);
                let bad = values.iter().find(|(_, value)| !value.is_finite());
                let sum = match bad {
                    Some((name, _)) => Err(format!("the loss {name} is not finite")),
                    None => Ok(sum),
                };
                Ok((sum, values))
            },
        )?;
        let mut means: Vec<(String, f32)> = vec![];
        for (name, value) in values.into_iter().flatten() {
            match means.iter_mut().find(|(known, _)| *known == name) {
                Some((_, mean)) => *mean += value / batches.len() as f32,
                None => means.push((name, value / batches.len() as f32)),
            }
        }
        Ok((report, means))
    }

    /// Scores, writes results and report.
    fn finish(&mut self) -> Result<(), VlpError> {
        if self.results.trained.is_empty() || self.results.step != self.trainer.step_count() {
            self.results.trained = self.score()?;
        }
        self.results.step = self.trainer.step_count();
        self.results.skipped_steps = self.trainer.skipped();
        self.results.seconds = self.earlier + self.started.elapsed().as_secs_f64();
        self.folder
            .write_json(&self.folder.results(), &self.results)?;
        Ok(())
    }
}
