#![doc = include_str!("../README.md")]

mod attributes;
mod cache;
mod captions;
mod claim;
mod clutter;
mod config;
mod draw;
mod export;
mod export_folder;
mod hypotheses;
mod object;
mod outline;
mod phrase;
mod questions;
mod random;
mod relation;
mod scene;
mod scenes;
mod statements;
mod task;
mod wording;

pub use attributes::{Color, NUMBER_WORDS, Shape, Size, Texture};
pub use captions::Caption;
pub use claim::Claim;
pub use config::{Background, ScenesConfig, Split};
pub use hypotheses::Hypothesis;
pub use object::SceneObject;
pub use phrase::Phrase;
pub use questions::Question;
pub use relation::{Relation, Side};
pub use scene::Scene;
pub use scenes::Scenes;
pub use statements::Statement;
pub use task::{ScenesTask, Task};
