#![doc = include_str!("../README.md")]

pub mod batch;
pub mod caption_graphs;
pub mod captioning;
pub mod captured_encoder;
pub mod codes;
pub mod collator;
pub mod detection;
pub mod encoder_output;
pub mod encoding;
pub mod error;
pub mod head;
pub mod inputs;
pub mod itc;
pub mod itm;
pub mod loss;
pub mod metrics;
pub mod miner;
pub mod mlm;
pub mod mvm;
pub mod nlvr2;
pub mod objective;
pub mod pair_builder;
pub mod pairing;
pub mod passes;
pub mod pretrain;
pub mod pretrain_objectives;
pub mod set;
pub mod snli_ve;
pub mod target_tensors;
pub mod targets;
pub mod testing;
pub mod validate;
pub mod vision_language;
pub mod visual_masks;
pub mod vqa;

pub use batch::Batch;
pub use caption_graphs::CaptionGraphs;
pub use captioning::{CaptionReward, Captioning, CaptioningConfig, CiderReward, SelfCritical};
pub use captured_encoder::CapturedEncoder;
pub use codes::{Codes, MaskedToken};
pub use collator::Collator;
pub use detection::{Detection, DetectionConfig};
pub use encoder_output::{EncoderOutput, JointOutput, SharedParts, TextStates};
pub use encoding::{EncodedPasses, ImageTokens, PassInputs};
pub use error::ObjectiveError;
pub use head::{ClsHead, HeadKind};
pub use inputs::Inputs;
pub use itc::{Itc, ItcConfig};
pub use itm::{Itm, ItmConfig};
pub use metrics::{DetectionResults, Direction, Mean, MetricContext, Metrics, Predictions, Score};
pub use miner::NegativeMiner;
pub use mlm::{Mlm, MlmConfig, MlmHead};
pub use mvm::{Mvm, MvmConfig, MvmHead};
pub use nlvr2::{Nlvr2, Nlvr2Config};
pub use objective::{Losses, Objective, Term};
pub use pair_builder::PairBuilder;
pub use pairing::Pairing;
#[doc(hidden)]
pub use passes::merge_passes;
pub use passes::{EncoderPasses, merges_passes};
pub use pretrain::{Pretrain, total};
pub use pretrain_objectives::{
    HeadSizes, ObjectivesConfig, PretrainMetrics, PretrainObjectives, PretrainTargets,
};
#[doc(hidden)]
pub use serde;
pub use set::{NamedLosses, ObjectiveSet};
pub use snli_ve::{SnliVe, SnliVeConfig};
pub use target_tensors::{PaddedLabels, TargetTensors};
pub use targets::{Targets, Unit};
pub use validate::RunContext;
pub use vision_language::VisionLanguage;
pub use visual_masks::{MaskSampling, VisualMask, VisualMasks};
pub use vlp_ops::capture::Value;
pub use vlp_ops::init::InitWeights;
pub use vlp_ops::init_weights;
#[doc(hidden)]
pub use vlp_transformer::DecoderInput;
pub use vqa::{Vqa, VqaConfig};
