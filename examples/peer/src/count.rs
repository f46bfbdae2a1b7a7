//! The request `count`: what one run of a case makes the GPU do, once every run makes it do the same.

use std::collections::BTreeMap;

use burn::tensor::Device;
use serde_json::{Value, json};

use crate::cases::Case;
use crate::error::PeerError;
use crate::ledger::Ledger;

/// Runs until two of them are alike: the first ones tune kernels and find out what can be fused.
const MAX_RUNS: usize = 12;

/// Counts of a run, and of its forward and backward pass alone if it has a backward pass.
pub(crate) fn count(case: &mut dyn Case, device: &Device) -> Result<Value, PeerError> {
    let sync = || device.sync().map_err(|e| PeerError::Device(e.to_string()));
    let start = |case: &dyn Case| {
        let parts = case.parts();
        sync()?;
        Ok::<_, PeerError>(Ledger::start(&parts))
    };
    let whole = steady(|| {
        let mut ledger = start(&*case)?;
        drop(case.run()?);
        sync()?;
        Ok(ledger.take())
    })?;
    let passes = steady(|| {
        let mut ledger = start(&*case)?;
        let Some(backward) = case.gradients()? else {
            return Ok(vec![]);
        };
        sync()?;
        let forward = ledger.take();
        backward();
        sync()?;
        Ok(vec![forward, ledger.take()])
    })?;
    let mut parts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for (column, counts) in passes.iter().enumerate() {
        for (part, kernels) in &counts.parts {
            parts.entry(part).or_default()[column] = *kernels;
        }
    }
    for (part, kernels) in &whole.parts {
        parts.entry(part).or_default()[2] = *kernels;
    }
    Ok(
        json!({"parts": parts, "blocks": whole.blocks, "kernels": whole.kernels, "uploads": whole.uploads, "reads": whole.reads}),
    )
}

/// The counts of the first run that has those of the run before it.
fn steady<T: PartialEq>(mut run: impl FnMut() -> Result<T, PeerError>) -> Result<T, PeerError> {
    let mut last = run()?;
    for _ in 1..MAX_RUNS {
        let counts = run()?;
        if counts == last {
            return Ok(last);
        }
        last = counts;
    }
    Err(PeerError::Unsteady(MAX_RUNS))
}
