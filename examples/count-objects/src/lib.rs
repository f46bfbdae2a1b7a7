#![doc = include_str!("../../../docs/adding-a-task.md")]
// The page quotes src/count.rs in parts that are not whole items.
#![allow(rustdoc::invalid_rust_codeblocks)]

pub mod count;

pub use count::{CountConfig, CountMetrics, CountObjects};

use vlp::train::TrainOptions;
use vlp::{Results, VlpError, train_with};

/// Trains a model with its configured objectives and, if given, the counting one.
pub fn pretrain(options: &TrainOptions, count: Option<&CountConfig>) -> Result<Results, VlpError> {
    train_with(options, |config, data, device| {
        let e2e = vlp::model::build_objectives(config, data, device)?;
        let count = count.map(|count| count.init(config.model.d_model(), device));
        Ok((e2e, count))
    })
}
