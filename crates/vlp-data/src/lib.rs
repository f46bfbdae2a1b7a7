#![doc = include_str!("../README.md")]

pub mod check;
pub mod coco;
pub mod decode;
mod error;
mod example;
mod held_out;
mod label;
pub mod loader;
mod memory;
mod mix;
pub mod order;
mod random;
pub mod read;
mod sample;
pub mod scenes;
pub mod shards;
mod subset;
pub mod transform;
mod vocabulary;

pub use coco::CocoSource;
pub use decode::{Limits, decode_picture};
pub use error::{DataError, Fault};
pub use example::{CaptionChoice, Example, Examples};
pub use held_out::{HeldOut, Removed};
pub use label::{AnswerType, Entailment, Label, Record};
pub use loader::{LoadedBatch, Loader, LoaderConfig};
pub use mix::{Mix, Part};
pub use order::{Order, Plan};
pub use random::rng;
pub use read::{FileSource, ReadReport};
pub use sample::{Encoded, LabelSpace, Object, Picture, Sample, Source};
pub use scenes::{Scenes, ScenesConfig, ScenesTask, Split, Task};
pub use subset::{Subset, split_by_key};
pub use transform::ResizeRule;
pub use vocabulary::AnswerVocabulary;
