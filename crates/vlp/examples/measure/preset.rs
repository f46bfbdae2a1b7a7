//! The training step of a preset, measured here and by the benchmarks of `benches/`.

use std::error::Error;
use std::sync::Arc;

use burn::prelude::*;
use vlp::config::{RunConfig, Sources, resolve};
use vlp::model::{Model, build_model, build_objectives};
use vlp::{Datasets, VlpError};
use vlp_data::{DataError, Example, Examples};
use vlp_models::initialize;
use vlp_objectives::{Pretrain, PretrainObjectives, VisionLanguage, total};
use vlp_train::{BatchLoss, Precision, SkipReason, TrainError, Trainer};
use vlp_vision::ResNet;

pub(crate) type BoxResult = Result<(), Box<dyn Error>>;

/// The model of a preset with its objectives.
pub(crate) type Learner<M> = Pretrain<M, PretrainObjectives>;

/// A preset with its data and a device.
pub(crate) struct Preset {
    pub(crate) config: RunConfig,
    pub(crate) data: Datasets,
    pub(crate) device: Device,
}

/// Code that is generic over the two systems.
pub(crate) trait Visit {
    /// `backbone` returns the model's backbone.
    fn visit<M: VisionLanguage>(
        self,
        preset: &Preset,
        learner: Learner<M>,
        backbone: fn(&M) -> &ResNet,
    ) -> BoxResult;
}

impl Preset {
    /// The preset of `[NAME] [--quick] [--set KEY=VALUE]...`; `e2e-vlp-tiny` by default.
    pub(crate) fn open(
        arguments: &[impl AsRef<str>],
        device: Device,
    ) -> Result<Self, Box<dyn Error>> {
        let mut sources = Sources::default();
        let mut arguments = arguments.iter().map(AsRef::as_ref);
        while let Some(argument) = arguments.next() {
            match argument {
                "--quick" => sources.quick = true,
                "--set" => sources.set.extend(arguments.next().map(str::to_owned)),
                name => sources.preset = Some(name.into()),
            }
        }
        sources.preset.get_or_insert_with(|| "e2e-vlp-tiny".into());
        let config = resolve(&sources)?;
        let data = Datasets::open(&config)?;
        Ok(Self {
            config,
            data,
            device,
        })
    }

    #[allow(dead_code, reason = "each example uses a part")]
    pub(crate) fn with_precision(mut self, precision: Precision) -> Self {
        self.config.train.precision = precision;
        self
    }

    /// The examples of a batch.
    pub(crate) fn examples(&self) -> Result<Vec<Example>, DataError> {
        let config = &self.config.data;
        let source = Examples {
            texts_per_image: config.texts_per_image,
            ..Examples::new(Arc::clone(&self.data.train), config.resize.clone())
        };
        (0..config.batch_size).map(|i| source.load(i, 0)).collect()
    }

    /// Builds the model with its initial weights.
    pub(crate) fn visit(&self, visitor: impl Visit) -> BoxResult {
        let objectives = build_objectives(&self.config, &self.data, &self.device)?;
        match build_model(&self.config, &self.data.tokenizer, &self.device)? {
            Model::E2eVlp(model) => {
                let learner = initialize(Pretrain { model, objectives }, 1);
                visitor.visit(self, learner, |model| &model.backbone)
            }
            Model::Soho(model) => {
                let learner = initialize(Pretrain { model, objectives }, 1);
                visitor.visit(self, learner, |model| &model.backbone)
            }
        }
    }

    /// Calls `measure` with a function that does one training step on the same examples.
    #[allow(dead_code, reason = "the benchmarks use a part")]
    pub(crate) fn with_step(
        &self,
        measure: impl FnOnce(&mut dyn FnMut() -> BoxResult) -> BoxResult,
    ) -> BoxResult {
        self.visit(Steps(measure))
    }

    /// One step as in `vlp pretrain`: collation, forward, losses, backward, clipping, update.
    pub(crate) fn step<M: VisionLanguage>(
        &self,
        trainer: &mut Trainer<Learner<M>>,
        examples: &[Example],
    ) -> Result<(), VlpError> {
        let collator = self.data.collator(&self.config);
        trainer.step_with_outputs(1, |model, _| -> Result<_, VlpError> {
            let batch = collator.collate(&model.objectives, examples, &self.device)?;
            let loss = total(&model.losses(&batch)?)
                .ok_or_else(|| SkipReason::NoGradient("no loss".into()));
            Ok(BatchLoss::new(loss, ()))
        })?;
        Ok(())
    }
}

/// Measures training steps.
struct Steps<F>(F);

impl<F: FnOnce(&mut dyn FnMut() -> BoxResult) -> BoxResult> Visit for Steps<F> {
    fn visit<M: VisionLanguage>(
        self,
        preset: &Preset,
        learner: Learner<M>,
        _: fn(&M) -> &ResNet,
    ) -> BoxResult {
        let mut trainer = Trainer::new(learner, preset.config.train.clone())?;
        let examples = preset.examples()?;
        (self.0)(&mut || Ok(preset.step(&mut trainer, &examples)?))
    }
}

/// Removes `flag` from the arguments. Returns whether it was there.
pub(crate) fn take_flag(arguments: &mut Vec<String>, flag: &str) -> bool {
    let count = arguments.len();
    arguments.retain(|argument| argument != flag);
    arguments.len() < count
}

/// Sets the CPU's precision: bf16 if the arguments have `--bf16`, which is removed.
#[allow(dead_code, reason = "each example uses a part")]
pub(crate) fn set_precision(arguments: &mut Vec<String>) -> Result<Precision, TrainError> {
    let precision = match take_flag(arguments, "--bf16") {
        true => Precision::Bf16,
        false => Precision::F32,
    };
    precision.set(&Device::flex())?;
    Ok(precision)
}

/// Peak memory of the process in MiB; `None` on systems without `/proc`.
#[allow(dead_code, reason = "each example uses a part")]
pub(crate) fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
