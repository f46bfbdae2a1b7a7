//! Model and heads of either system.

use std::collections::BTreeMap;

use burn::module::Param;
use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_models::{E2eVlp, Soho, initialize};
use vlp_objectives::{ObjectiveSet, Pretrain, PretrainObjectives};
use vlp_ops::params::{ParamVisitor, visit_params};
use vlp_text::WordPieceTokenizer;

use super::build::{Model, build_model, trained_objectives};
use crate::config::RunConfig;
use crate::data::Vocabulary;
use crate::error::VlpError;
use crate::weights::ParamLoader;

/// Model and heads of either system.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one of it, and it is not moved often"
)]
pub enum AnyModel<O: ObjectiveSet = PretrainObjectives> {
    /// E2E-VLP.
    E2eVlp(Pretrain<E2eVlp, O>),
    /// SOHO.
    Soho(Pretrain<Soho, O>),
}

impl AnyModel {
    /// The model of a configuration, which may have been edited, its weights not yet initialized.
    pub(crate) fn new(
        config: &RunConfig,
        vocabulary: &Vocabulary,
        tokenizer: &WordPieceTokenizer,
        device: &Device,
    ) -> Result<Self, VlpError> {
        Self::with_objectives(config, vocabulary, tokenizer, device, trained_objectives)
    }
}

impl<O: ObjectiveSet> AnyModel<O> {
    /// As [`AnyModel::new`], with the heads that `build` builds.
    pub(crate) fn with_objectives(
        config: &RunConfig,
        vocabulary: &Vocabulary,
        tokenizer: &WordPieceTokenizer,
        device: &Device,
        build: impl FnOnce(&RunConfig, &Vocabulary, &WordPieceTokenizer, &Device) -> Result<O, VlpError>,
    ) -> Result<Self, VlpError> {
        config.check_sizes()?;
        let objectives = build(config, vocabulary, tokenizer, device)?;
        Ok(match build_model(config, tokenizer, device)? {
            Model::E2eVlp(model) => Self::E2eVlp(Pretrain { model, objectives }),
            Model::Soho(model) => Self::Soho(Pretrain { model, objectives }),
        })
    }

    /// Samples the initial weights from `seed`.
    pub(crate) fn initialize(self, seed: u64) -> Self {
        match self {
            Self::E2eVlp(model) => Self::E2eVlp(initialize(model, seed)),
            Self::Soho(model) => Self::Soho(initialize(model, seed)),
        }
    }

    /// Loads a record of the whole model.
    pub(crate) fn load(self, bytes: &[u8]) -> Result<Self, burn::store::RecordError> {
        Ok(match self {
            Self::E2eVlp(model) => Self::E2eVlp(vlp_train::trainer::load_weights(model, bytes)?),
            Self::Soho(model) => Self::Soho(vlp_train::trainer::load_weights(model, bytes)?),
        })
    }

    /// Loads parameters by path.
    pub(crate) fn load_params(self, loader: &mut ParamLoader) -> Self {
        match self {
            Self::E2eVlp(model) => Self::E2eVlp(loader.load(model)),
            Self::Soho(model) => Self::Soho(loader.load(model)),
        }
    }

    /// All float parameters and buffers by path.
    pub(crate) fn params(&self) -> BTreeMap<String, TensorData> {
        let mut collector = Collector::default();
        match self {
            Self::E2eVlp(model) => visit_params(model, &mut collector),
            Self::Soho(model) => visit_params(model, &mut collector),
        }
        collector.0
    }

    /// The heads.
    pub fn objectives(&self) -> &O {
        match self {
            Self::E2eVlp(pretrain) => &pretrain.objectives,
            Self::Soho(pretrain) => &pretrain.objectives,
        }
    }
}

/// Values by path.
#[derive(Default)]
struct Collector(BTreeMap<String, TensorData>);

impl ParamVisitor for Collector {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        self.0.insert(path.into(), param.val().into_data());
    }
}
