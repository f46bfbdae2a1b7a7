//! One session of a run: from the start or a checkpoint to the end or a stop.

use std::time::{Duration, Instant};

use vlp_data::LoadedBatch;
use vlp_distributed::StepDeadline;
use vlp_objectives::{Collator, ObjectiveSet, Pretrain, Score, VisionLanguage};
use vlp_train::{CheckpointScore, StepReport, Trainer};

use super::loss_values::{
    LossValue, empty_batch_loss, finite_batch_loss, loss_values, mean_losses,
};
use super::model_selection::checkpoint_score;
use super::opened_run::RunStart;
use super::progress::{Progress, write_line};
use super::recorded_step::{RecordedStep, describe};
use super::run_files::RunFiles;
use super::step_loader::StepLoader;
use super::{Run, TrainOptions};
use crate::config::RunConfig;
use crate::device;
use crate::error::VlpError;
use crate::eval::evaluate_shared;
use crate::format::format_duration;
use crate::run::Results;
use crate::run::log_keys::{GRAD_NORM, LEARNING_RATE, SKIPPED_STEPS};

/// Deadline for a batch of the evaluation, and for computing the scores.
const EVALUATION_DEADLINE: Duration = Duration::from_secs(3600);
/// Deadline for saving a checkpoint.
const SAVE_DEADLINE: Duration = Duration::from_secs(1800);

/// The note of a run with `train.capture` and several processes.
const NOT_RECORDED: &str =
    "recorded training steps: none, several processes exchange gradients through the CPU";

/// A run being trained.
pub(super) struct Session<'a, M: VisionLanguage, O: ObjectiveSet> {
    run: Run<'a>,
    collator: Collator<'a>,
    trainer: Trainer<Pretrain<M, O>>,
    /// In the first process.
    files: Option<RunFiles>,
    config_hash: String,
    pub(super) results: Results,
    notes: Vec<String>,
    /// The step of the last evaluation of this session.
    evaluated_step: Option<u64>,
    /// Messages of the last evaluation about unreadable examples.
    unreadable: Vec<String>,
    /// The step of the last checkpoint.
    saved_step: Option<u64>,
    /// Wall time of earlier sessions in seconds.
    earlier_seconds: f64,
    started: Instant,
}

impl<'a, M, O> Session<'a, M, O>
where
    M: VisionLanguage,
    O: ObjectiveSet,
{
    /// The trainer of a model, before the run has a folder.
    ///
    /// # Errors
    /// [`VlpError::Train`] for a value of `train` that does not fit the model.
    pub(super) fn trainer(
        run: &Run<'_>,
        model: Pretrain<M, O>,
    ) -> Result<Trainer<Pretrain<M, O>>, VlpError> {
        let has_dictionary = model.model.parts().dictionary.is_some();
        let mut trainer = Trainer::new(model, run.config.train.clone())?
            .with_processes(run.processes.group().clone())?;
        if has_dictionary {
            trainer = trainer.with_end_of_step(|pretrain: &Pretrain<M, O>, micro_batches| {
                if let Some(dictionary) = pretrain.model.parts().dictionary {
                    dictionary.end_step(micro_batches);
                }
            });
        }
        Ok(trainer)
    }

    /// Resumes from the checkpoint of `start`, or begins with the initial weights.
    pub(super) fn start(
        run: Run<'a>,
        mut trainer: Trainer<Pretrain<M, O>>,
        start: RunStart,
        weights_notes: Vec<String>,
    ) -> Result<Self, VlpError> {
        let config = run.config;
        let config_hash = config.fingerprint()?;
        let mut notes = run.data.notes.clone();
        let unscored = unscored_checkpoints(config);
        if let Some(note) = unscored.as_ref().filter(|_| run.processes.is_first()) {
            write_line(note);
        }
        notes.extend(unscored);
        notes.extend(start.notes);
        if let Some(checkpoint) = &start.checkpoint {
            trainer = trainer.resume(checkpoint, &config_hash)?;
        }
        notes.extend(weights_notes);
        let keep = config.checkpoint.keep;
        let files = run
            .folder
            .map(|folder| RunFiles::open(folder, keep, trainer.step_count()));
        let mut results = start.results.unwrap_or_default();
        results.device = run.device_name.into();
        results.simd = device::simd_level().to_string();
        let first_step = trainer.step_count();
        Ok(Self {
            run,
            collator: run.data.collator(config),
            trainer,
            files: files.transpose()?,
            config_hash,
            earlier_seconds: results.seconds,
            results,
            notes,
            evaluated_step: None,
            unreadable: vec![],
            saved_step: (first_step > 0).then_some(first_step),
            started: Instant::now(),
        })
    }

    /// Evaluates the initial weights of a new run and trains to the last step. Returns the trained model, without autodiff;
    /// `None` at the step to stop at.
    ///
    /// # Errors
    /// [`VlpError::Stopped`] once a stop is requested, after saving the last step.
    pub(super) fn run(
        &mut self,
        options: &TrainOptions,
    ) -> Result<Option<Pretrain<M, O>>, VlpError> {
        match self.run_to_end(options) {
            Err(VlpError::Interrupted) => {
                self.save_last_step()?;
                Err(self.stopped(options))
            }
            outcome => outcome,
        }
    }

    /// Saves the last step if it is not saved yet. A checkpoint that is not due has no score.
    fn save_last_step(&mut self) -> Result<(), VlpError> {
        let step = self.trainer.step_count();
        match self.saved_step == Some(step) {
            true => Ok(()),
            false => self.save_checkpoint(step, None),
        }
    }

    /// Says that the run is stopped after the last step, which is saved.
    fn stopped(&self, options: &TrainOptions) -> VlpError {
        VlpError::Stopped {
            step: self.trainer.step_count(),
            path: options.run.path().to_owned(),
        }
    }

    fn run_to_end(&mut self, options: &TrainOptions) -> Result<Option<Pretrain<M, O>>, VlpError> {
        if self.results.initial.is_empty() {
            let processes = self.run.processes;
            self.results.initial = processes.interruptible(|| self.evaluate())?;
            self.write_results()?;
        }
        match self.train(options)? {
            true => self.finish().map(Some),
            false => {
                self.save_last_step()?;
                if self.evaluated_step != Some(self.trainer.step_count()) {
                    // Those of an earlier step.
                    self.results.trained.clear();
                }
                if self.run.processes.is_first() {
                    write_line(&self.stopped(options).to_string());
                }
                Ok(None)
            }
        }
    }

    /// Messages for the report page.
    pub(super) fn notes(&self) -> Vec<String> {
        let skipped = self.results.skipped_note();
        let mut notes: Vec<String> = skipped.into_iter().collect();
        notes.extend_from_slice(&self.notes);
        notes.extend_from_slice(&self.unreadable);
        notes
    }

    /// Evaluates the model on the validation examples.
    fn evaluate(&mut self) -> Result<Vec<Score>, VlpError> {
        let Run {
            config,
            data,
            device,
            ..
        } = self.run;
        let processes = self.run.processes;
        let _section = processes.section("evaluation", EVALUATION_DEADLINE);
        let model = self.trainer.eval_model();
        let validation = evaluate_shared(&model, config, data, device, processes)?;
        (self.unreadable, self.results.examples) = (validation.unreadable, validation.examples);
        Ok(validation.scores)
    }

    /// Trains to the last step (returns true) or to `stop_at` (false).
    ///
    /// # Errors
    /// [`VlpError::Interrupted`] once a stop is requested.
    fn train(&mut self, options: &TrainOptions) -> Result<bool, VlpError> {
        let stop_at = options.stop_at;
        let config = self.run.config;
        let total_steps = config.train.steps;
        let first_step = self.trainer.step_count();
        let processes = self.run.processes;
        let micro_batches = self.trainer.micro_batches();
        let mut loader = StepLoader::start(self.run.data, config, first_step, micro_batches)?;
        let mut progress = Progress::new(first_step, total_steps, processes.is_first());
        let mut deadline = StepDeadline::default();
        while self.trainer.step_count() < total_steps {
            if stop_at.is_some_and(|stop_at| self.trainer.step_count() >= stop_at) {
                progress.finish();
                return Ok(false);
            }
            let step_started = Instant::now();
            let section = processes.section("step", deadline.deadline());
            let Some(data) = loader.next(processes)? else {
                progress.finish();
                return Err(VlpError::Interrupted);
            };
            for sample in &data.skipped {
                progress.line(&format!("skipped a sample: {sample}"));
                self.notes.push(sample.to_string());
            }
            let (report, losses) = self.step(&data.batches)?;
            let step = self.trainer.step_count();
            drop(section);
            deadline.record(step_started.elapsed());
            if let Some(reason) = &report.skipped {
                let note = format!("step {step} skipped: {reason}");
                progress.line(&note);
                self.notes.push(note);
            }
            let shown = losses.iter();
            let shown = shown.filter_map(|loss| Some((loss.name.as_deref()?, loss.value)));
            progress.step(step, &shown.collect::<Vec<_>>(), data.samples);
            self.log_step(step, &report, losses)?;
            let is_due =
                |every: u64| step == total_steps || (every > 0 && step.is_multiple_of(every));
            let mut score = None;
            if is_due(config.eval.every) {
                score = self.evaluate_step(step)?;
            }
            if is_due(config.checkpoint.every) {
                self.save_checkpoint(step, score.as_ref())?;
            }
        }
        progress.finish();
        let idle = loader.wait_time().as_secs_f64();
        let percentage = 100.0 * idle / self.started.elapsed().as_secs_f64().max(1e-9);
        self.notes.push(format!(
            "waited for data {} ({percentage:.1} % of the training time)",
            format_duration(idle)
        ));
        if config.train.capture {
            let note = match processes.count() {
                1 => describe(&self.trainer.capture_report()),
                _ => NOT_RECORDED.into(),
            };
            if processes.is_first() {
                write_line(&note);
            }
            self.notes.push(note);
        }
        Ok(true)
    }

    /// One optimizer step over this process's micro-batches and those of the others. Returns the mean losses too.
    fn step(&mut self, batches: &[LoadedBatch]) -> Result<(StepReport, Vec<LossValue>), VlpError> {
        let device = self.run.device.clone().autodiff();
        let (report, outputs) = match self.records_steps() {
            true => {
                let step = RecordedStep {
                    collator: &self.collator,
                    device: &device,
                    seed: self.run.config.seed,
                };
                step.run(&mut self.trainer, batches)?
            }
            false => {
                let collator = self.collator;
                let first = self.trainer.micro_batches().start;
                let loss = |model: &Pretrain<M, O>, index: usize| -> Result<_, VlpError> {
                    let examples = &batches[index - first].examples;
                    if examples.is_empty() {
                        return Ok(empty_batch_loss(&device));
                    }
                    let batch = collator.collate(&model.objectives, examples, &device)?;
                    finite_batch_loss(model.losses(&batch), &device)
                };
                self.trainer.step_with_outputs(self.run.config.seed, loss)?
            }
        };
        let losses = outputs.into_iter();
        let losses = losses.map(|(losses, values)| loss_values(&losses, &values));
        let micro_batches = self.run.config.train.accumulate;
        Ok((report, mean_losses(losses.collect(), micro_batches)))
    }

    /// Whether steps run as recorded graphs where possible. On the CPU and with several processes, they run as without the
    /// setting.
    fn records_steps(&self) -> bool {
        let is_alone = self.run.processes.count() == 1;
        self.run.config.train.capture && is_alone && !vlp_ops::is_cpu(self.run.device)
    }

    fn log_step(
        &mut self,
        step: u64,
        report: &StepReport,
        losses: Vec<LossValue>,
    ) -> Result<(), VlpError> {
        let losses = losses.into_iter();
        let mut record: Vec<(String, f32)> = losses.map(|loss| (loss.key, loss.value)).collect();
        record.push((GRAD_NORM.into(), report.grad_norm));
        record.push((LEARNING_RATE.into(), report.learning_rate as f32));
        record.push((SKIPPED_STEPS.into(), self.trainer.skipped() as f32));
        self.log(step, &record)
    }

    fn log(&mut self, step: u64, record: &[(String, f32)]) -> Result<(), VlpError> {
        match &mut self.files {
            Some(files) => files.log(step, record),
            None => Ok(()),
        }
    }

    /// Evaluates and logs the metrics. Returns the score of a checkpoint of this step.
    fn evaluate_step(&mut self, step: u64) -> Result<Option<CheckpointScore>, VlpError> {
        let scores = self.evaluate()?;
        let record = scores.iter();
        let record = record.filter_map(|score| Some((score.name.clone(), score.value? as f32)));
        self.log(step, &record.collect::<Vec<_>>())?;
        let score = checkpoint_score(&scores, &self.run.config.checkpoint.best_by)?;
        self.evaluated_step = Some(step);
        self.results.trained = scores;
        Ok(score)
    }

    fn save_checkpoint(
        &mut self,
        step: u64,
        score: Option<&CheckpointScore>,
    ) -> Result<(), VlpError> {
        self.results.step = step;
        self.write_results()?;
        let processes = self.run.processes;
        let _section = processes.section("save", SAVE_DEADLINE);
        let files = self.trainer.checkpoint_files()?;
        processes.check_replicas(step, &files)?;
        let state = self.trainer.state(&self.config_hash);
        let writer = self.files.as_ref();
        processes.on_first(|| match writer {
            Some(writer) => writer.save(&state, &files, score),
            None => Ok(()),
        })?;
        self.saved_step = Some(step);
        Ok(())
    }

    fn write_results(&mut self) -> Result<(), VlpError> {
        self.results.skipped_steps = self.trainer.skipped();
        self.results.seconds = self.earlier_seconds + self.started.elapsed().as_secs_f64();
        match &self.files {
            Some(files) => files.write_results(&self.results),
            None => Ok(()),
        }
    }

    /// Writes the final results. Returns the trained model, without autodiff.
    fn finish(&mut self) -> Result<Pretrain<M, O>, VlpError> {
        let step = self.trainer.step_count();
        if self.results.trained.is_empty() || self.results.step != step {
            let processes = self.run.processes;
            self.results.trained = processes.interruptible(|| self.evaluate())?;
        }
        self.results.step = step;
        self.write_results()?;
        Ok(self.trainer.eval_model())
    }
}

/// A message if only the last of several checkpoints is evaluated.
fn unscored_checkpoints(config: &RunConfig) -> Option<String> {
    let (steps, eval, checkpoint) = (
        config.train.steps,
        config.eval.every,
        config.checkpoint.every,
    );
    let every = usize::try_from(checkpoint)
        .ok()
        .filter(|&every| every > 0)?;
    let mut saved = (checkpoint..steps).step_by(every).peekable();
    let is_unscored = saved.peek().is_some() && !saved.any(|step| step.is_multiple_of(eval));
    is_unscored.then(|| {
        format!(
            "eval.every = {eval}: only the last of the checkpoints is evaluated, so it is also the best one; set eval.every to checkpoint.every = {checkpoint} to compare them"
        )
    })
}
