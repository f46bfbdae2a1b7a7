//! What each case loads and runs.

mod backbone;
mod caption;
mod dictionary;
mod forward;
mod jpeg;
mod matching;
mod pair;
mod step;
mod tokenize;

use std::path::Path;

use burn::prelude::*;
use serde_json::{Value, json};
use vlp_ops::capture::{self, CaptureReport};
use vlp_train::Precision;
use vlp_transformer::TextBatch;
use vlp_vision::PaddedImages;

use crate::arrays::Arrays;
use crate::error::PeerError;
#[cfg(feature = "ledger")]
use crate::ledger::Parts;
use crate::output::Outputs;
use crate::setup::{Setup, System};

/// A case whose files are loaded.
pub(crate) trait Case {
    /// Runs it once; what this takes is what is timed.
    fn run(&mut self) -> Result<Outputs, PeerError>;

    /// How often its functions were replayed as graphs, and why not: of each a name, counts and reasons.
    fn graphs(&self) -> Value {
        Value::Null
    }

    /// The parts of its model.
    #[cfg(feature = "ledger")]
    fn parts(&self) -> Parts {
        Parts::default()
    }

    /// Runs its forward pass alone; the result is its backward pass. `None` if it has none.
    #[cfg(feature = "ledger")]
    fn gradients(&mut self) -> Result<Option<Backward>, PeerError> {
        Ok(None)
    }
}

/// A backward pass whose gradients are not used.
#[cfg(feature = "ledger")]
pub(crate) type Backward = Box<dyn FnOnce()>;

/// How a case runs.
pub(crate) struct Options {
    /// Whether passes and steps are recorded as graphs where the device has them.
    pub(crate) captures: bool,
    /// Of training steps.
    pub(crate) precision: Precision,
    /// Values `key=value` of the configuration of a model or a step.
    pub(crate) set: Vec<String>,
}

/// Loads the files of a case onto a device.
pub(crate) fn load(
    case: &str,
    weights: Option<&Path>,
    inputs: &Path,
    plain: &Device,
    options: &Options,
) -> Result<Box<dyn Case>, PeerError> {
    let captures = options.captures;
    let arrays = Arrays::read(inputs)?;
    let missing = || PeerError::Request(format!("weights: {case} needs a file"));
    let file = || weights.ok_or_else(missing);
    if let Some(mut setup) = Setup::of(case, &options.set)? {
        setup.config.train.precision = options.precision;
        let steps = case.ends_with("-step");
        let device = if steps {
            plain.clone().autodiff()
        } else {
            plain.clone()
        };
        let system = setup.build(&device)?.filled(file()?)?;
        return with_model(case, &setup, system, &arrays, &device, captures);
    }
    Ok(match case {
        "resnet50-384" | "resnet50-800x1333" => backbone::load(file()?, &arrays, plain, captures)?,
        "dictionary" => dictionary::load(&arrays, plain)?,
        "matching" => matching::load(&arrays, plain)?,
        "jpeg" => jpeg::load(&arrays)?,
        "tokenize" => tokenize::load(&arrays, false)?,
        "tokenize-batched" => tokenize::load(&arrays, true)?,
        _ => return Err(unknown(case)),
    })
}

fn with_model(
    case: &str,
    setup: &Setup,
    system: System,
    arrays: &Arrays,
    device: &Device,
    captures: bool,
) -> Result<Box<dyn Case>, PeerError> {
    Ok(match (case, system) {
        ("caption-beam1", System::E2eVlp(model)) => {
            caption::load(model, arrays, 1, device, captures)?
        }
        ("caption-beam5", System::E2eVlp(model)) => {
            caption::load(model, arrays, 5, device, captures)?
        }
        (_, System::E2eVlp(model)) if case.ends_with("-step") => {
            step::load(model, setup, arrays, device, captures)?
        }
        ("e2e-pair-800x1333", System::E2eVlp(model)) => {
            pair::load(model, arrays, device, captures)?
        }
        ("soho-pair-608x1024", System::Soho(model)) => pair::load(model, arrays, device, captures)?,
        (_, System::E2eVlp(model)) => forward::load(model, arrays, device, captures)?,
        (_, System::Soho(model)) => step::load(model, setup, arrays, device, captures)?,
    })
}

/// There is no such case.
pub(crate) fn unknown(case: &str) -> PeerError {
    PeerError::Request(format!(
        "no case is called {case:?}; benches/peer/README.md lists them"
    ))
}

/// The images and texts of a case's values: pixels and padding of the images, ids and padding of the texts.
fn images_and_text(values: &[capture::Value]) -> (PaddedImages, TextBatch) {
    let images = PaddedImages {
        pixels: values[0].tensor(),
        pad_mask: values[1].tensor(),
    };
    let text = TextBatch {
        ids: values[2].tensor(),
        pad_mask: values[3].tensor(),
    };
    (images, text)
}

/// The value of [`Case::graphs`].
fn graphs(reports: impl IntoIterator<Item = CaptureReport>) -> Value {
    let reports = reports.into_iter().map(|report| {
        json!({"name": report.name, "recordings": report.counts.recordings, "replays": report.counts.replays,
            "fallbacks": report.fallbacks})
    });
    reports.collect()
}
