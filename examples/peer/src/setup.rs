//! Model, heads and training of each case, from the preset it is of.

use std::path::Path;

use burn::module::Module;
use burn::prelude::*;
use vlp::config::{ModelConfig, RunConfig, Sources, resolve};
use vlp::model::{Model, build_model};
use vlp_data::Source;
use vlp_models::{E2eVlp, Soho, SohoConfig};
use vlp_objectives::detection::ClassVocabulary;
use vlp_objectives::{HeadSizes, Pretrain, PretrainObjectives};
use vlp_scenes::Scenes;
use vlp_text::WordPieceTokenizer;
use vlp_train::{ScheduleConfig, TrainerConfig};
use vlp_vision::UpdateTime;

use crate::error::PeerError;
use crate::module::{self, Values};

/// Classes and attributes of Visual Genome, for presets that read no scenes.
const GENOME: (usize, usize) = (1600, 400);
/// Steps of a run that never ends while it is timed.
const STEPS: u64 = 1 << 32;

/// What a case is built from.
pub(crate) struct Setup {
    /// The preset without dropout, accumulation and schedule.
    pub(crate) config: RunConfig,
    pub(crate) tokenizer: WordPieceTokenizer,
    pub(crate) classes: usize,
    pub(crate) attributes: usize,
}

/// Model and heads of either system.
#[allow(clippy::large_enum_variant, reason = "taken apart where it was made")]
pub(crate) enum System {
    E2eVlp(Pretrain<E2eVlp, PretrainObjectives>),
    Soho(Pretrain<Soho, PretrainObjectives>),
}

impl Setup {
    /// The setup of a case with values `key=value` of its configuration; `None` for one without a model of either paper.
    pub(crate) fn of(case: &str, set: &[String]) -> Result<Option<Self>, PeerError> {
        let preset = match case {
            "e2e-384" | "e2e-800x1333" | "e2e-pair-800x1333" | "e2e-step" | "caption-beam1"
            | "caption-beam5" | "start" => "e2e-vlp-r50",
            "tiny-step" => "e2e-vlp-tiny",
            "soho-pair-608x1024" | "soho-r101-step" => "soho-paper",
            "soho-r18-step" => "soho-official-r18",
            "soho-tiny-step" => "soho-tiny",
            _ => return Ok(None),
        };
        let mut config = resolve(&Sources {
            preset: Some(preset.into()),
            set: [&["model.dropout=0.0".into()], set].concat(),
            ..Sources::default()
        })?;
        if let ModelConfig::Soho(SohoConfig {
            quantizer: Some(quantizer),
            ..
        }) = &mut config.model
        {
            // In the forward pass, as on PyTorch's side.
            quantizer.dictionary.follow = UpdateTime::Batch;
        }
        let mut optimizer = config.train.optimizer.clone();
        for group in &mut optimizer.groups {
            group.frozen_until = 0.0;
        }
        // One batch a step as it is given: two halves side by side have batch statistics of their own.
        config.train = TrainerConfig::new(STEPS)
            .with_optimizer(optimizer)
            .with_schedule(ScheduleConfig::default());
        let (classes, attributes) = match config.data.tokenizer.as_str() {
            "scenes" => {
                let scenes = Scenes::new(config.data.scenes.clone())?;
                let labels = scenes.labels();
                (labels.classes.len(), labels.attributes.len())
            }
            _ => GENOME,
        };
        Ok(Some(Self {
            tokenizer: vlp::data::load_tokenizer(&config.data.tokenizer)?,
            config,
            classes,
            attributes,
        }))
    }

    /// Model and heads whose weights are yet to be drawn or loaded.
    pub(crate) fn build(&self, device: &Device) -> Result<System, PeerError> {
        let config = &self.config;
        let sizes = HeadSizes {
            d_model: config.model.d_model(),
            vocab_size: self.tokenizer.vocab_size(),
            vocabularies: vec![ClassVocabulary {
                name: "peer".into(),
                classes: self.classes,
                attributes: self.attributes,
            }],
            answers: 0,
            codes: config.model.quantizer().map_or(0, |q| q.dictionary.codes),
        };
        let objectives = config.objectives.init(&sizes, device)?;
        Ok(match build_model(config, &self.tokenizer, device)? {
            Model::E2eVlp(model) => System::E2eVlp(Pretrain { model, objectives }),
            Model::Soho(model) => System::Soho(Pretrain { model, objectives }),
        })
    }
}

impl System {
    /// The first weights of `seed`.
    pub(crate) fn drawn(self, seed: u64) -> Values {
        fn draw<M: Module + vlp_objectives::InitWeights>(module: M, seed: u64) -> Values {
            module::values(&vlp_models::initialize(module, seed))
        }
        match self {
            Self::E2eVlp(own) => draw(own, seed),
            Self::Soho(own) => draw(own, seed),
        }
    }

    /// The weights of a file.
    pub(crate) fn filled(self, file: &Path) -> Result<Self, PeerError> {
        Ok(match self {
            Self::E2eVlp(own) => Self::E2eVlp(module::fill(own, file)?),
            Self::Soho(own) => Self::Soho(module::fill(own, file)?),
        })
    }
}
