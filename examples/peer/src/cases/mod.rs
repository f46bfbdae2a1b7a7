//! What each case loads and runs.

mod backbone;
mod caption;
mod dictionary;
mod forward;
mod jpeg;
mod matching;
mod step;
mod tokenize;

use std::path::Path;

use burn::prelude::*;

use crate::arrays::Arrays;
use crate::error::PeerError;
use crate::output::Outputs;
use crate::setup::{Setup, System};

/// A case whose files are loaded.
pub(crate) trait Case {
    /// Runs it once; what this takes is what is timed.
    fn run(&mut self) -> Result<Outputs, PeerError>;
}

/// Loads the files of a case onto a device.
pub(crate) fn load(
    case: &str,
    weights: Option<&Path>,
    inputs: &Path,
    plain: &Device,
) -> Result<Box<dyn Case>, PeerError> {
    let arrays = Arrays::read(inputs)?;
    let missing = || PeerError::Request(format!("weights: {case} needs a file"));
    let file = || weights.ok_or_else(missing);
    if let Some(setup) = Setup::of(case)? {
        let steps = case.ends_with("-step");
        let device = if steps {
            plain.clone().autodiff()
        } else {
            plain.clone()
        };
        let system = setup.build(&device)?.filled(file()?)?;
        return with_model(case, &setup, system, &arrays, &device);
    }
    Ok(match case {
        "resnet50-384" | "resnet50-800x1333" => backbone::load(file()?, &arrays, plain)?,
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
) -> Result<Box<dyn Case>, PeerError> {
    Ok(match (case, system) {
        ("caption-beam1", System::E2eVlp(own)) => caption::load(own, arrays, 1, device)?,
        ("caption-beam5", System::E2eVlp(own)) => caption::load(own, arrays, 5, device)?,
        (_, System::E2eVlp(own)) if case.ends_with("-step") => {
            step::load(own, setup, arrays, device)?
        }
        (_, System::E2eVlp(own)) => forward::load(own, arrays, device)?,
        (_, System::Soho(own)) => step::load(own, setup, arrays, device)?,
    })
}

/// There is no such case.
pub(crate) fn unknown(case: &str) -> PeerError {
    PeerError::Request(format!(
        "no case is called {case:?}; benches/peer/README.md lists them"
    ))
}
