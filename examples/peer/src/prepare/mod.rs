//! The files that both sides read: the same in every run.

mod images;
mod photo;
mod scene;
mod sentences;
mod texts;
mod weights;

use std::path::{Path, PathBuf};

use rand::RngExt;

use crate::arrays::Arrays;
use crate::error::PeerError;
use crate::setup::Setup;

/// Seed of all that is drawn.
pub(crate) const SEED: u64 = 1;
/// Tokens of a text at E2E-VLP's sizes.
const TEXT: usize = 40;
/// Tokens of a text at SOHO's.
const SHORT_TEXT: usize = 16;

/// Writes weights, if the case has any, and inputs into `folder`.
pub(crate) fn prepare(case: &str, folder: &Path) -> Result<(Option<PathBuf>, PathBuf), PeerError> {
    let setup = Setup::of(case, &[])?;
    let inputs = inputs(case, setup.as_ref())?;
    std::fs::create_dir_all(folder).map_err(|e| PeerError::file(folder, e))?;
    let inputs_file = folder.join("inputs.safetensors");
    inputs.write(&inputs_file)?;
    let file = folder.join("weights.safetensors");
    let written = weights::write(case, setup.as_ref(), &file)?;
    Ok((written.then_some(file), inputs_file))
}

fn inputs(case: &str, setup: Option<&Setup>) -> Result<Arrays, PeerError> {
    let mut inputs = Arrays::default();
    match (case, setup) {
        ("resnet50-384", _) => images::unpadded(&mut inputs, [1, 384, 384]),
        ("resnet50-800x1333", _) => images::unpadded(&mut inputs, [1, 800, 1333]),
        ("e2e-384" | "start", Some(setup)) => {
            images::unpadded(&mut inputs, [1, 384, 384]);
            texts::whole(&mut inputs, setup, TEXT);
        }
        ("e2e-800x1333" | "e2e-pair-800x1333", Some(setup)) => {
            images::unpadded(&mut inputs, [1, 800, 1333]);
            texts::whole(&mut inputs, setup, TEXT);
        }
        // 600 x 1000, padded to multiples of 32.
        ("soho-pair-608x1024", Some(setup)) => {
            images::unpadded(&mut inputs, [1, 608, 1024]);
            texts::whole(&mut inputs, setup, SHORT_TEXT);
        }
        ("caption-beam1" | "caption-beam5", _) => {
            images::unpadded(&mut inputs, [1, 384, 384]);
        }
        ("e2e-step", Some(setup)) => {
            images::padded(&mut inputs, [2, 256, 256]);
            texts::masked(&mut inputs, setup, 2, 1, TEXT);
            texts::captions(&mut inputs, setup, 2, 20);
            scene::objects(&mut inputs, setup, 2, 10);
        }
        ("tiny-step", Some(setup)) => {
            images::unpadded(&mut inputs, [16, 64, 64]);
            texts::masked(&mut inputs, setup, 16, 1, 28);
            texts::captions(&mut inputs, setup, 16, 28);
            scene::objects(&mut inputs, setup, 16, 3);
        }
        ("soho-r101-step", Some(setup)) => {
            images::padded(&mut inputs, [2, 256, 256]);
            texts::masked(&mut inputs, setup, 2, 1, SHORT_TEXT);
            texts::visual_masks(&mut inputs, setup, 2, 1);
        }
        ("soho-r18-step", Some(setup)) => {
            images::padded(&mut inputs, [2, 256, 256]);
            texts::masked(&mut inputs, setup, 2, 4, SHORT_TEXT);
            texts::visual_masks(&mut inputs, setup, 2, 4);
        }
        ("soho-tiny-step", Some(setup)) => {
            images::unpadded(&mut inputs, [8, 64, 64]);
            texts::masked(&mut inputs, setup, 8, 4, 28);
            texts::visual_masks(&mut inputs, setup, 8, 4);
        }
        ("dictionary", _) => {
            normal(&mut inputs, "features", &[2400, 768]);
            normal(&mut inputs, "table", &[2048, 768]);
        }
        ("matching", _) => {
            normal(&mut inputs, "logits", &[32, 100, 1601]);
            scene::boxes(&mut inputs, "boxes", &[32, 100]);
            scene::boxes(&mut inputs, "target_boxes", &[32, 20]);
            let mut rng = vlp_data::rng(SEED, 0, 0, "classes");
            let classes: Vec<i32> = (0..32 * 20).map(|_| rng.random_range(0..1600)).collect();
            inputs.put("classes", &[32, 20], &classes);
        }
        ("jpeg", _) => photo::jpeg(&mut inputs)?,
        ("tokenize" | "tokenize-batched", _) => sentences::captions(&mut inputs),
        _ => return Err(crate::cases::unknown(case)),
    }
    Ok(inputs)
}

/// Values of mean 0 and variance 1: the sum of twelve uniform ones.
fn normal(inputs: &mut Arrays, name: &str, shape: &[usize]) {
    let mut rng = vlp_data::rng(SEED, 0, 0, name);
    let mut draw = || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| draw()).collect();
    inputs.put(name, shape, &values);
}
