//! The header of a `.safetensors` file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use safetensors::tensor::{Metadata, TensorInfo};

use crate::error::WeightsError;
use crate::limits::HEADER_BYTES;

/// What a header says, with offsets from the start of the file.
pub(crate) struct Header {
    pub(crate) tensors: Vec<(String, TensorInfo, u64)>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Reads the header and checks it against the length of the file.
pub(crate) fn header(path: &Path, file: &mut File, len: u64) -> Result<Header, WeightsError> {
    let damaged = |reason: String| WeightsError::Format {
        path: path.into(),
        reason: format!("not a whole safetensors file: {reason}; copy or download it again"),
    };
    let fail = |source| WeightsError::Read {
        path: path.into(),
        source,
    };
    file.rewind().map_err(fail)?;
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(fail)?;
    let size = u64::from_le_bytes(size);
    if size > len.saturating_sub(8) {
        return Err(damaged(format!(
            "a header of {size} bytes in a file of {len}"
        )));
    }
    if size > HEADER_BYTES {
        return Err(WeightsError::Limit {
            path: path.into(),
            what: format!("a header of {size} bytes"),
            limit: HEADER_BYTES,
            hint: "keep no data but names and shapes in it",
        });
    }
    let mut text = Vec::new();
    file.take(size).read_to_end(&mut text).map_err(fail)?;
    let header: Metadata =
        serde_json::from_slice(&text).map_err(|e| damaged(format!("header: {e}")))?;
    let data = 8 + size;
    if data + header.data_len() as u64 != len {
        return Err(damaged(format!(
            "{} bytes of values announced, {} there",
            header.data_len(),
            len - data
        )));
    }
    let metadata = header.metadata().clone().unwrap_or_default();
    let tensors = header.tensors().into_iter().map(|(name, info)| {
        let start = data + info.data_offsets.0 as u64;
        (name, info.clone(), start)
    });
    Ok(Header {
        tensors: tensors.collect(),
        metadata: metadata.into_iter().collect(),
    })
}
