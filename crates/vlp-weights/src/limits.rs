//! How much a file may ask for.

use std::path::Path;

use crate::error::WeightsError;

/// Bytes of a pickle; one of a model with 1000 tensors has about 150 kB.
pub(crate) const PICKLE_BYTES: u64 = 64 << 20;
/// Steps of a pickle; a tensor takes about 35. Each makes one object of at most some 250 bytes.
pub(crate) const PICKLE_STEPS: u64 = 1 << 20;
/// Bytes of a safetensors header; a tensor takes about 100.
pub(crate) const HEADER_BYTES: u64 = 32 << 20;

const EXPANDED: &str = "save the state dict again with every tensor as .contiguous().clone()";

/// Most bytes that a file of `len` may unpack to, or one of its tensors have.
///
/// Weights hardly compress, and a tensor hardly ever shows one stored value twice.
pub(crate) fn unpacked(len: u64) -> u64 {
    len.saturating_mul(4).saturating_add(1 << 20)
}

/// Refuses a tensor that has far more values than its file could hold.
pub(crate) fn check_tensor(
    path: &Path,
    len: u64,
    tensor: &str,
    bytes: usize,
) -> Result<(), WeightsError> {
    let limit = unpacked(len);
    if bytes as u64 <= limit {
        return Ok(());
    }
    Err(WeightsError::Limit {
        path: path.into(),
        what: format!("tensor {tensor:?} of {bytes} bytes, in a file of {len},"),
        limit,
        hint: EXPANDED,
    })
}
