//! A preset's training step, as `steps`, `profile` and the benchmarks of `benches/` time it.

use std::error::Error;
use std::sync::Arc;

use burn::prelude::*;
use vlp::config::{RunConfig, Sources, resolve};
use vlp::{Datasets, VlpError, build};
use vlp_data::{DataError, Example, Examples};
use vlp_models::{PretrainObjectives, initialise};
use vlp_objectives::{Pretrain, VisionLanguage, total};
use vlp_train::Trainer;
use vlp_vision::ResNet;

pub(crate) type Done = Result<(), Box<dyn Error>>;

/// A preset's model with its objectives.
pub(crate) type Learner<M> = Pretrain<M, PretrainObjectives>;

/// A preset with its data, on the CPU.
pub(crate) struct Preset {
    pub(crate) config: RunConfig,
    pub(crate) data: Datasets,
    pub(crate) device: Device,
}

/// What is done with the model of either system.
pub(crate) trait Visit {
    /// `trunk` finds the model's trunk.
    fn visit<M: VisionLanguage>(
        self,
        preset: &Preset,
        learner: Learner<M>,
        trunk: fn(&M) -> &ResNet,
    ) -> Done;
}

impl Preset {
    /// The preset of `[NAME] [--quick] [--set KEY=VALUE]...`; `e2e-vlp-tiny` where no preset is named.
    pub(crate) fn open(words: &[impl AsRef<str>], device: Device) -> Result<Self, Box<dyn Error>> {
        let mut sources = Sources::default();
        let mut words = words.iter().map(AsRef::as_ref);
        while let Some(word) = words.next() {
            match word {
                "--quick" => sources.quick = true,
                "--set" => sources.set.extend(words.next().map(str::to_owned)),
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

    /// The examples of a batch.
    pub(crate) fn examples(&self) -> Result<Vec<Example>, DataError> {
        let config = &self.config.data;
        let source = Examples {
            texts: config.texts,
            ..Examples::new(Arc::clone(&self.data.train), config.resize.clone())
        };
        (0..config.batch_size).map(|i| source.load(i, 0)).collect()
    }

    /// Builds the model with fresh weights.
    pub(crate) fn visit(&self, visitor: impl Visit) -> Done {
        let objectives = build::objectives(&self.config, &self.data, &self.device)?;
        match build::model(&self.config, &self.data.pieces, &self.device)? {
            build::Model::E2eVlp(model) => {
                let learner = initialise(Pretrain { model, objectives }, 1);
                visitor.visit(self, learner, |model| &model.backbone)
            }
            build::Model::Soho(model) => {
                let learner = initialise(Pretrain { model, objectives }, 1);
                visitor.visit(self, learner, |model| &model.backbone)
            }
        }
    }

    /// One step as the program takes it: batching, forward, losses, backward, clip, update.
    pub(crate) fn step<M: VisionLanguage>(
        &self,
        trainer: &mut Trainer<Learner<M>>,
        examples: &[Example],
    ) -> Result<(), VlpError> {
        let batcher = self.data.batcher(&self.config);
        trainer.step_side_by_side(1, |model, _| -> Result<_, VlpError> {
            let batch = batcher.batch(&model.objectives, examples, &self.device)?;
            let sum = total(&model.losses(&batch)?).ok_or_else(|| "no loss".to_string());
            Ok((sum, ()))
        })?;
        Ok(())
    }
}

/// Whether `flag` is among the words, which lose it.
pub(crate) fn given(words: &mut Vec<String>, flag: &str) -> bool {
    let before = words.len();
    words.retain(|word| word != flag);
    words.len() < before
}

/// Has products made in bf16 where the words have `--bf16`.
#[allow(dead_code, reason = "each example uses a part")]
pub(crate) fn precision(words: &mut Vec<String>) -> Done {
    if given(words, "--bf16") && !vlp_ops::use_bf16_products(true) {
        return Err("this processor has no products in bf16".into());
    }
    Ok(())
}

/// The most memory that the process held in MiB, where the system tells.
#[allow(dead_code, reason = "each example uses a part")]
pub(crate) fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
