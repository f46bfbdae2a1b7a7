//! A segment as a safetensors file.

use std::path::Path;

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::error::IndexError;
use crate::records::{ImageRecord, Records, Thumbnail};
use crate::segment::Segment;

const IMAGES: &str = "images";
const TEXTS: &str = "texts";
const RECORDS: &str = "records";

/// The bytes of both files of a segment: records and embeddings, thumbnails.
pub(crate) struct Encoded {
    pub(crate) segment: Vec<u8>,
    pub(crate) thumbnails: Vec<u8>,
}

/// A segment that was read.
pub(crate) struct Decoded {
    pub(crate) records: Records,
    /// Row after row.
    pub(crate) images: Vec<f16>,
    pub(crate) texts: Vec<f16>,
}

/// The files of a segment whose embeddings have `dim` numbers; a reason if it is not one.
pub(crate) fn encode(segment: &Segment, dim: usize) -> Result<Encoded, String> {
    let images = half_bytes(
        "image",
        &segment.image_embeddings,
        segment.images.len(),
        dim,
    )?;
    let texts = half_bytes("text", &segment.text_embeddings, segment.texts.len(), dim)?;
    let mut thumbnails = vec![];
    let records = segment.images.iter().zip(&segment.image_texts);
    let records = records.zip(&segment.thumbnails);
    let records = records.map(|((image, texts), thumbnail)| ImageRecord {
        image: image.clone(),
        texts: texts.clone(),
        thumbnail: thumbnail.as_ref().map(|bytes| {
            let offset = thumbnails.len() as u64;
            thumbnails.extend_from_slice(bytes);
            Thumbnail {
                offset,
                bytes: bytes.len() as u64,
                crc32c: crc32c::crc32c(bytes),
            }
        }),
    });
    let records = Records {
        images: records.collect(),
        texts: segment.texts.clone(),
        skipped: segment.skipped.clone(),
    };
    let records = serde_json::to_vec(&records).map_err(|error| error.to_string())?;
    let tensors = [
        (
            IMAGES,
            TensorView::new(Dtype::F16, vec![segment.images.len(), dim], &images),
        ),
        (
            TEXTS,
            TensorView::new(Dtype::F16, vec![segment.texts.len(), dim], &texts),
        ),
        (
            RECORDS,
            TensorView::new(Dtype::U8, vec![records.len()], &records),
        ),
    ];
    let tensors = tensors.into_iter().map(|(name, view)| Ok((name, view?)));
    let tensors: Result<Vec<_>, safetensors::SafeTensorError> = tensors.collect();
    // Without metadata: its order is not the same in every process.
    let bytes = tensors.and_then(|tensors| serialize(tensors, None));
    Ok(Encoded {
        segment: bytes.map_err(|error| error.to_string())?,
        thumbnails,
    })
}

fn half_bytes(kind: &str, values: &[f32], rows: usize, dim: usize) -> Result<Vec<u8>, String> {
    if values.len() != rows * dim {
        return Err(format!(
            "{} numbers of {kind} embeddings; {rows} rows of {dim} are needed",
            values.len()
        ));
    }
    let mut bytes = Vec::with_capacity(2 * values.len());
    for (index, &value) in values.iter().enumerate() {
        let rounded = f16::from_f32(value);
        if !rounded.is_finite() {
            return Err(format!(
                "the embedding of {kind} {} has the number {value}; the weights of the run are damaged, or its training diverged",
                index / dim.max(1)
            ));
        }
        bytes.extend_from_slice(&rounded.to_le_bytes());
    }
    Ok(bytes)
}

/// Reads the bytes of a segment's file, whose thumbnails have `thumbnail_bytes` bytes, after segments with `before` texts.
pub(crate) fn decode(
    path: &Path,
    bytes: &[u8],
    dim: usize,
    thumbnail_bytes: u64,
    before: usize,
) -> Result<Decoded, IndexError> {
    let invalid = |reason: String| IndexError::Format {
        path: path.into(),
        reason: format!("not a segment of this index: {reason}"),
    };
    let file = SafeTensors::deserialize(bytes).map_err(|error| invalid(error.to_string()))?;
    let tensor = |name: &str| {
        file.tensor(name)
            .map_err(|error| invalid(error.to_string()))
    };
    let records = tensor(RECORDS)?;
    let records: Records =
        serde_json::from_slice(records.data()).map_err(|error| invalid(error.to_string()))?;
    let rows = |name: &str, count: usize| {
        let tensor = tensor(name)?;
        let shape = [count, dim];
        if tensor.dtype() != Dtype::F16 || tensor.shape() != shape {
            return Err(invalid(format!(
                "{name} is {:?} {:?}; {shape:?} of F16 is needed",
                tensor.dtype(),
                tensor.shape()
            )));
        }
        let (values, _) = tensor.data().as_chunks::<2>();
        let values: Vec<f16> = values
            .iter()
            .map(|bytes| f16::from_le_bytes(*bytes))
            .collect();
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(values),
            false => Err(invalid(format!("{name} has a number that is not finite"))),
        }
    };
    let (images, texts) = (
        rows(IMAGES, records.images.len())?,
        rows(TEXTS, records.texts.len())?,
    );
    let count = before.saturating_add(records.texts.len());
    for record in &records.images {
        let name = &record.image.name;
        if record.texts.iter().any(|&text| text >= count) {
            return Err(invalid(format!("{name} has a text that is not there")));
        }
        let end = record.thumbnail.map(|t| t.offset.checked_add(t.bytes));
        if end.is_some_and(|end| end.is_none_or(|end| end > thumbnail_bytes)) {
            return Err(invalid(format!(
                "{name} has a thumbnail beyond the end of its file"
            )));
        }
    }
    Ok(Decoded {
        records,
        images,
        texts,
    })
}
