//! Set-prediction detection with attributes (DETR; E2E-VLP's OBD).

pub mod boxes;
pub mod heads;
pub mod matcher;
pub mod set_loss;

mod config;
mod metrics;
mod objective;
mod on_device;
mod post_process;
mod tables;
mod target;
mod terms;

pub use config::DetectionConfig;
pub use heads::{ClassVocabulary, DetectionOutput};
pub use matcher::{MatchCost, Matcher};
pub use metrics::DetectionMetrics;
pub use objective::Detection;
pub use post_process::{DetectedObject, post_process};
pub use target::{DetectionTarget, TargetObject};
