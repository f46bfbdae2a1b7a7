//! The header of a `.safetensors` file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use safetensors::tensor::{Metadata, TensorInfo};

use crate::error::WeightsError;
use crate::limits::HEADER_BYTES;

/// A parsed header; each tensor with the offset of its values from the start of the file.
pub(crate) struct Header {
    pub(crate) tensors: Vec<(String, TensorInfo, u64)>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Reads the header and checks it against `len`, the length of the file.
pub(crate) fn read_header(path: &Path, file: &mut File, len: u64) -> Result<Header, WeightsError> {
    let invalid = |reason: String| WeightsError::Format {
        path: path.into(),
        reason: format!("not a complete safetensors file: {reason}; copy or download it again"),
    };
    let read_error = |source| WeightsError::Read {
        path: path.into(),
        source,
    };
    file.rewind().map_err(read_error)?;
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(read_error)?;
    let size = u64::from_le_bytes(size);
    if size > len.saturating_sub(8) {
        return Err(invalid(format!(
            "a header of {size} bytes in a file of {len}"
        )));
    }
    if size > HEADER_BYTES {
        return Err(WeightsError::Limit {
            path: path.into(),
            what: format!("a header of {size} bytes"),
            limit: HEADER_BYTES,
            hint: "store nothing but names and shapes in it",
        });
    }
    let mut text = Vec::new();
    file.take(size).read_to_end(&mut text).map_err(read_error)?;
    let header: Metadata =
        serde_json::from_slice(&text).map_err(|e| invalid(format!("header: {e}")))?;
    let data_start = 8 + size;
    if data_start.checked_add(header.data_len() as u64) != Some(len) {
        return Err(invalid(format!(
            "the header declares {} bytes of values, the file has {}",
            header.data_len(),
            len - data_start
        )));
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    let tensors = header.tensors().into_iter().map(|(name, info)| {
        let start = data_start + info.data_offsets.0 as u64;
        (name, info.clone(), start)
    });
    Ok(Header {
        tensors: tensors.collect(),
        metadata: metadata.into_iter().collect(),
    })
}
