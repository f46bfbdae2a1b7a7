//! Weights and optimiser state as bytes that are the same in every process.
//!
//! burn draws the id of a parameter at random and keys the optimiser's state by it. Here an id is a hash
//! of the parameter's path, so that two runs that computed the same also saved the same bytes.

use std::collections::HashMap;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::RecordError;
use burn::store::burn_pack::{Reader, Tensor, Writer};

use crate::files::sha256;

/// The first 64 bits of the path's SHA-256.
fn id(path: &str) -> u64 {
    u64::from_str_radix(&sha256(path.as_bytes())[..16], 16).unwrap_or_default()
}

/// The weights and buffers of a module.
pub(crate) fn module_bytes<M: Module>(module: M) -> Result<Vec<u8>, RecordError> {
    let reader = Reader::from_bytes(module.into_record().into_bytes()?)?;
    let mut tensors = vec![];
    for tensor in reader.into_tensors()? {
        let (path, dtype, shape, _, bytes) = tensor.into_parts()?;
        let id = id(&path);
        tensors.push(Tensor::new(path, dtype, shape, Some(id), bytes));
    }
    Ok(Writer::new(tensors).into_bytes()?.to_vec())
}

/// The state of an optimiser: tensors and scalars named `ID.FIELD`, and the path of every id.
pub(crate) fn optimizer_bytes(optimizer: &ModuleOptimizer) -> Result<Vec<u8>, RecordError> {
    let reader = Reader::from_bytes(optimizer.into_bytes()?)?;
    let paths = reader.metadata().clone();
    let ids: HashMap<&str, u64> = paths
        .iter()
        .map(|(old, path)| (old.as_str(), id(path)))
        .collect();
    let rename = |name: &str| match name.split_once('.') {
        Some((old, field)) if ids.contains_key(old) => format!("{}.{field}", ids[old]),
        _ => name.to_string(),
    };
    let scalars = reader.scalars().clone();
    let mut tensors = vec![];
    for tensor in reader.into_tensors()? {
        let (name, dtype, shape, old, bytes) = tensor.into_parts()?;
        let new = old.map(|old| ids.get(old.to_string().as_str()).copied().unwrap_or(old));
        tensors.push((rename(&name), dtype, shape, new, bytes));
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
        writer = writer.with_metadata(&id(path).to_string(), path);
    }
    Ok(writer.into_bytes()?.to_vec())
}
