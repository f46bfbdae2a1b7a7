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
    /// The preset `name`; with `quick` in the sizes of a trial.
    pub(crate) fn open(name: &str, quick: bool, device: Device) -> Result<Self, Box<dyn Error>> {
        let config = resolve(&Sources {
            preset: Some(name.into()),
            quick,
            ..Sources::default()
        })?;
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
