//! Image captioning by the decoder, from the image-only pass (E2E-VLP's ITG).

mod captured;
mod generator;
mod head;
mod metrics;
mod objective;
mod reward;
mod scorer;
mod self_critical;

pub use generator::CaptionGenerator;
pub use head::CaptionHead;
pub use metrics::CaptionMetrics;
pub use objective::{CaptionTarget, Captioning, CaptioningConfig};
pub use reward::{CaptionReward, CiderReward};
pub use self_critical::SelfCritical;
