//! Weights and optimizer state as bytes that are equal in every process.
//!
//! burn gives each parameter a random id and keys the optimizer's state by it. Here the id is replaced by a hash of the
//! parameter's path, so that two runs with equal state save equal bytes.

use std::collections::HashMap;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::RecordError;
use burn::store::burn_pack::{Reader, Tensor, Writer};
use burn::tensor::{Bytes, DType};

use crate::atomic_file::sha256_hex;

/// The first 64 bits of the path's SHA-256.
fn path_id(path: &str) -> u64 {
    u64::from_str_radix(&sha256_hex(path.as_bytes())[..16], 16).unwrap_or_default()
}

/// Weights and buffers of a module.
pub(crate) fn module_bytes<M: Module>(module: M) -> Result<Vec<u8>, RecordError> {
    let reader = Reader::from_bytes(module.into_record().into_bytes()?)?;
    let mut tensors = vec![];
    for tensor in reader.into_tensors()? {
        let (path, dtype, shape, _, bytes) = tensor.into_parts()?;
        let id = path_id(&path);
        tensors.push(Tensor::new(path, dtype, shape, Some(id), bytes));
    }
    Ok(Writer::new(tensors).into_bytes()?.to_vec())
}

/// Ends of the names of AdamW's moments.
const MOMENTS: [&str; 2] = [".moment_1", ".moment_2"];

/// State of an optimizer: tensors and scalars named `ID.FIELD`, and the path of every id.
///
/// `bf16_moments`: AdamW's moments are in bf16. burn loads them as f32, and those of a parameter without a gradient
/// stay f32.
pub(crate) fn optimizer_bytes(
    optimizer: &ModuleOptimizer,
    bf16_moments: bool,
) -> Result<Vec<u8>, RecordError> {
    let reader = Reader::from_bytes(optimizer.into_bytes()?)?;
    let paths = reader.metadata().clone();
    let path_ids: HashMap<&str, u64> = paths
        .iter()
        .map(|(random_id, path)| (random_id.as_str(), path_id(path)))
        .collect();
    let rename = |name: &str| match name.split_once('.') {
        Some((id, field)) if path_ids.contains_key(id) => format!("{}.{field}", path_ids[id]),
        _ => name.to_string(),
    };
    let scalars = reader.scalars().clone();
    let mut tensors = vec![];
    for tensor in reader.into_tensors()? {
        let (name, dtype, shape, id, bytes) = tensor.into_parts()?;
        let id = id.map(|id| path_ids.get(id.to_string().as_str()).copied().unwrap_or(id));
        let (dtype, bytes) = match bf16_moments && MOMENTS.iter().any(|end| name.ends_with(end)) {
            true => narrow(dtype, bytes),
            false => (dtype, bytes),
        };
        tensors.push((rename(&name), dtype, shape, id, bytes));
    }
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let tensors = tensors
        .into_iter()
        .map(|(name, dtype, shape, id, bytes)| Tensor::new(name, dtype, shape, id, bytes));
    let mut writer = Writer::new(tensors.collect());
    for (name, value) in scalars {
        writer = writer.with_scalar(&rename(&name), value);
    }
    for path in paths.values() {
        writer = writer.with_metadata(&path_id(path).to_string(), path);
    }
    Ok(writer.into_bytes()?.to_vec())
}

/// f32 values as bf16, if all of them are exactly representable in bf16.
fn narrow(dtype: DType, bytes: Bytes) -> (DType, Bytes) {
    let low_half = if cfg!(target_endian = "little") {
        0..2
    } else {
        2..4
    };
    let is_exact = bytes
        .chunks(4)
        .all(|value| value[low_half.clone()] == [0, 0]);
    if dtype != DType::F32 || !bytes.len().is_multiple_of(4) || !is_exact {
        return (dtype, bytes);
    }
    let high_half = if low_half.start == 0 { 2..4 } else { 0..2 };
    let values = bytes
        .chunks(4)
        .flat_map(|value| value[high_half.clone()].to_vec());
    (DType::BF16, Bytes::from_bytes_vec(values.collect()))
}
