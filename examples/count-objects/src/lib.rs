#![doc = include_str!("../../../docs/adding-a-task.md")]
// The page quotes src/count.rs in parts, which are no whole items.
#![allow(rustdoc::invalid_rust_codeblocks)]

pub mod count;

pub use count::{CountConfig, CountObjects};

use vlp::pretrain::PretrainOptions;
use vlp::{Results, View, VlpError, pretrain_with};

/// Trains a model with its configured objectives and, if given, the counting one.
pub fn pretrain(
    options: &PretrainOptions,
    count: Option<&CountConfig>,
) -> Result<Results, VlpError> {
    pretrain_with(
        options,
        |config, data, device| {
            let e2e = vlp::build::objectives(config, data, device)?;
            let count = count.map(|own| own.init(config.model.d_model(), device));
            Ok((e2e, count))
        },
        |objectives| View::from(&objectives.0),
    )
}
