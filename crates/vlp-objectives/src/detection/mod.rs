//! Set-prediction detection with attributes (DETR; E2E-VLP's OBD).

pub mod boxes;
pub mod heads;
pub mod matcher;
pub mod objective;
pub mod set_loss;
pub mod target;

pub use heads::{ClassVocabulary, DetectionOutput};
pub use matcher::{MatchCost, Matcher};
pub use objective::{Detection, DetectionConfig, Found};
pub use target::{DetectionTarget, TargetObject};
