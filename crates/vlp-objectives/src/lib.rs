#![doc = include_str!("../README.md")]

pub mod captioning;
pub mod codes;
pub mod detection;
pub mod draft;
pub mod encoded;
pub mod error;
pub mod inputs;
pub mod itm;
pub mod loss;
pub mod mlm;
pub mod mvm;
pub mod objective;
pub mod pretrain;
pub mod set;
pub mod tally;
pub mod testing;

pub use captioning::{Captioning, CaptioningConfig};
pub use codes::Codes;
pub use detection::{Detection, DetectionConfig};
pub use draft::Draft;
pub use encoded::{Encoded, Needs, TextStates, VisionLanguage};
pub use error::ObjectiveError;
pub use inputs::{CellDraw, CellRule, Inputs};
pub use itm::{Itm, ItmConfig};
pub use mlm::{Mlm, MlmConfig, MlmHead};
pub use mvm::{Mvm, MvmConfig, MvmHead};
pub use objective::{Losses, Objective};
pub use pretrain::{Batch, Batcher, Pretrain, total};
pub use set::{NamedLosses, ObjectiveSet};
pub use tally::Tally;
