//! First weights, moved off the values that would hide a mistake.

use std::path::Path;

use burn::tensor::TensorData;
use rand::RngExt;
use vlp_vision::resnet::{Depth, ResNetConfig};

use super::SEED;
use crate::error::PeerError;
use crate::module::{self, Values};
use crate::setup::Setup;

/// Gain of the last norm of a residual branch: with constants for norms the map would double at every block.
const BRANCH: f32 = 0.3;
/// Gain of the word table over BERT's first values.
const WORDS: f32 = 4.0;

/// Writes the weights of a case; false where it has none.
pub(super) fn write(case: &str, setup: Option<&Setup>, file: &Path) -> Result<bool, PeerError> {
    let device = vlp::device::pick("flex")?;
    let mut values = match setup {
        Some(setup) => setup.build(&device)?.drawn(SEED),
        None if case.starts_with("resnet50") => {
            let backbone = ResNetConfig::new(Depth::R50).init(&device)?;
            module::values(&vlp_models::initialize(backbone, SEED))
        }
        None => return Ok(false),
    };
    move_off(&mut values);
    module::write(&values, file)?;
    Ok(true)
}

/// Gains and variances that are not all 1, shifts, biases and means that are not all 0.
fn move_off(values: &mut Values) {
    let last: Vec<bool> = values
        .keys()
        .map(|path| ends_branch(path, values))
        .collect();
    for ((path, data), last) in values.iter_mut().zip(last) {
        let mut rng = vlp_data::rng(SEED, 0, 0, path);
        let mut noise = || rng.random_range(-1.0f32..1.0);
        let change: &mut dyn FnMut(f32) -> f32 = match path.rsplit('.').next() {
            Some("gamma") if last => &mut |v| BRANCH * v * (1.0 + 0.2 * noise()),
            Some("gamma" | "running_var") => &mut |v| v * (1.0 + 0.2 * noise()),
            // As far apart as trained words are: else all are as probable, and beams find what one finds.
            _ if path.ends_with("words.word.weight") => &mut |v| WORDS * v,
            Some("beta" | "bias" | "running_mean") => &mut |v| v + 0.05 * noise(),
            _ => continue,
        };
        let moved: Vec<f32> = data.iter::<f32>().map(change).collect();
        *data = TensorData::new(moved, data.shape().clone());
    }
}

/// Whether `path` is the gain of the last norm of a block: `stages.0.1.layers.2.norm.gamma` without a layer 3.
fn ends_branch(path: &str, all: &Values) -> bool {
    let next = path
        .strip_suffix(".norm.gamma")
        .filter(|layer| layer.contains("stages."))
        .and_then(|layer| layer.rsplit_once(".layers."))
        .and_then(|(block, layer)| Some((block, layer.parse::<usize>().ok()? + 1)));
    next.is_some_and(|(block, next)| {
        !all.contains_key(&format!("{block}.layers.{next}.norm.gamma"))
    })
}
