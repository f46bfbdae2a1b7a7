//! Limits on the memory and time that reading a file may take.

use std::path::Path;

use crate::error::WeightsError;

/// Bytes of all pickles of a file; a model of 1000 tensors has about 150 kB.
pub(crate) const PICKLE_BYTES: u64 = 64 << 20;
/// Opcodes of all pickles of a file; a tensor has about 35. Each creates one object of at most about 250 bytes.
pub(crate) const PICKLE_OPCODES: u64 = 1 << 20;
/// Bytes of a safetensors header, of which a tensor has about 100; the `safetensors` crate refuses larger ones too.
pub(crate) const HEADER_BYTES: u64 = 100_000_000;

const CLONE_HINT: &str = "save the state dict again with every tensor as .contiguous().clone()";

/// Maximum unpacked size of a file of `len` bytes, and of each of its tensors.
///
/// Weights hardly compress, and tensors rarely repeat a stored value.
pub(crate) fn max_unpacked(len: u64) -> u64 {
    len.saturating_mul(4).saturating_add(1 << 20)
}

/// Rejects a tensor that is far larger than its file.
pub(crate) fn check_tensor(
    path: &Path,
    len: u64,
    tensor: &str,
    bytes: usize,
) -> Result<(), WeightsError> {
    let limit = max_unpacked(len);
    if bytes as u64 <= limit {
        return Ok(());
    }
    Err(WeightsError::Limit {
        path: path.into(),
        what: format!("tensor {tensor:?} of {bytes} bytes, in a file of {len} bytes,"),
        limit,
        hint: CLONE_HINT,
    })
}
