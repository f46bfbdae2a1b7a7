//! Writes `.safetensors` files one tensor at a time.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use vlp_files::PartialFile;

use crate::error::WeightsError;
use crate::limits::HEADER_BYTES;

/// Number of values converted to bytes at a time.
const CHUNK: usize = 1 << 14;

/// Writes `f32` tensors, whose names and shapes are declared beforehand, in any order.
///
/// Equal tensors and metadata give equal bytes. The file is written next to its final path under a new name, and
/// [`Self::finish`] renames it; dropping the writer before removes it.
#[derive(Debug)]
pub struct SafetensorsWriter {
    path: PathBuf,
    file: PartialFile,
    /// Tensors not yet written: number of values and offset in the file.
    pending: BTreeMap<String, (usize, u64)>,
}

impl SafetensorsWriter {
    /// Maximum size of names, shapes and metadata in bytes; readers of the format refuse more.
    pub const MAX_HEADER_BYTES: u64 = HEADER_BYTES;

    /// Creates a file for tensors with these names and shapes (`[]` for a scalar), and with this metadata.
    ///
    /// # Errors
    /// [`WeightsError::Write`]; [`WeightsError::InvalidTensor`] for the name `__metadata__` or a shape that overflows;
    /// [`WeightsError::Limit`] for more than [`Self::MAX_HEADER_BYTES`].
    pub fn create(
        path: impl AsRef<Path>,
        shapes: &BTreeMap<String, Vec<usize>>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let (header, pending) = header(path, shapes, metadata)?;
        let write_error = |source| WeightsError::Write {
            path: path.into(),
            source,
        };
        let mut writer = Self {
            path: path.into(),
            file: PartialFile::create(path).map_err(write_error)?,
            pending,
        };
        let base = 8 + header.len() as u64;
        for (_, start) in writer.pending.values_mut() {
            *start += base;
        }
        let file = &mut writer.file;
        file.write_all(&(header.len() as u64).to_le_bytes())
            .and_then(|()| file.write_all(&header))
            .map_err(write_error)?;
        Ok(writer)
    }

    /// Writes the values of one tensor, row-major.
    ///
    /// # Errors
    /// [`WeightsError::InvalidTensor`] if the name was not declared or is written twice, or the number of values is wrong;
    /// [`WeightsError::Write`].
    pub fn write(&mut self, name: &str, values: &[f32]) -> Result<(), WeightsError> {
        let invalid = |reason: String| WeightsError::InvalidTensor {
            path: self.path.clone(),
            tensor: name.into(),
            reason,
        };
        let Some(&(count, start)) = self.pending.get(name) else {
            return Err(invalid(
                "it was not declared, or is already written; declare every tensor in create and write it once"
                    .into(),
            ));
        };
        if count != values.len() {
            return Err(invalid(format!(
                "{} values; its shape has {count}",
                values.len()
            )));
        }
        self.write_values(start, values)
            .map_err(|source| WeightsError::Write {
                path: self.path.clone(),
                source,
            })?;
        self.pending.remove(name);
        Ok(())
    }

    fn write_values(&mut self, start: u64, values: &[f32]) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::with_capacity(4 * values.len().min(CHUNK));
        for chunk in values.chunks(CHUNK) {
            bytes.clear();
            bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
            self.file.write_all(&bytes)?;
        }
        Ok(())
    }

    /// Syncs the file and renames it to its final name.
    ///
    /// # Errors
    /// [`WeightsError::InvalidTensor`] with a tensor that was not written; [`WeightsError::Write`].
    pub fn finish(self) -> Result<(), WeightsError> {
        self.finish_by(PartialFile::finish)
    }

    /// As [`Self::finish`], but a file that another process has written there by now stays.
    ///
    /// # Errors
    /// As [`Self::finish`]; [`WeightsError::Write`] of the kind [`AlreadyExists`](std::io::ErrorKind::AlreadyExists) if there
    /// is something at the path.
    pub fn finish_new(self) -> Result<(), WeightsError> {
        self.finish_by(PartialFile::finish_new)
    }

    fn finish_by(
        self,
        finish: impl FnOnce(PartialFile) -> std::io::Result<()>,
    ) -> Result<(), WeightsError> {
        if let Some(name) = self.pending.keys().next() {
            return Err(WeightsError::InvalidTensor {
                path: self.path.clone(),
                tensor: name.clone(),
                reason: format!(
                    "it was declared but not written ({} in total); write every tensor before finish",
                    self.pending.len()
                ),
            });
        }
        let Self { path, file, .. } = self;
        finish(file).map_err(|source| WeightsError::Write { path, source })
    }
}

type Offsets = BTreeMap<String, (usize, u64)>;

/// Bytes of the header, padded to a multiple of 8, and each tensor's number of values and offset in the data.
fn header(
    path: &Path,
    shapes: &BTreeMap<String, Vec<usize>>,
    metadata: &BTreeMap<String, String>,
) -> Result<(Vec<u8>, Offsets), WeightsError> {
    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), json!(metadata));
    }
    let (mut offsets, mut end) = (Offsets::new(), 0_u64);
    for (name, shape) in shapes {
        let invalid = |reason: &str| WeightsError::InvalidTensor {
            path: path.into(),
            tensor: name.clone(),
            reason: reason.into(),
        };
        if name == "__metadata__" {
            return Err(invalid("the name is reserved by the format; use another"));
        }
        let count = shape
            .iter()
            .try_fold(1_usize, |count, &side| count.checked_mul(side));
        let next = |count: usize| (count as u64).checked_mul(4)?.checked_add(end);
        let (count, next) = count
            .and_then(|count| Some((count, next(count)?)))
            .ok_or_else(|| invalid("its shape has more values than a file can hold"))?;
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [end, next]});
        header.insert(name.clone(), entry);
        offsets.insert(name.clone(), (count, end));
        end = next;
    }
    let mut bytes = Value::Object(header).to_string().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    if bytes.len() as u64 > HEADER_BYTES {
        return Err(WeightsError::Limit {
            path: path.into(),
            what: format!("a header of {} bytes", bytes.len()),
            limit: HEADER_BYTES,
            hint: "write fewer tensors or metadata, or several files",
        });
    }
    Ok((bytes, offsets))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;

    fn shapes() -> BTreeMap<String, Vec<usize>> {
        [("a", vec![2, 2]), ("b.bias", vec![]), ("c", vec![0, 3])]
            .map(|(name, shape)| (name.to_owned(), shape))
            .into()
    }

    fn write_file(folder: &Path, name: &str, order: &[&str]) -> Vec<u8> {
        let metadata = [("z", "1"), ("a", "ü\"")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let path = folder.join(name);
        let mut writer = SafetensorsWriter::create(&path, &shapes(), &metadata.into()).unwrap();
        for name in order {
            let values: &[f32] = match *name {
                "a" => &[1.0, -0.0, f32::INFINITY, 1e-40],
                "b.bias" => &[7.0],
                _ => &[],
            };
            writer.write(name, values).unwrap();
        }
        assert!(!path.exists());
        writer.finish().unwrap();
        fs::read(path).unwrap()
    }

    #[test]
    fn bytes_do_not_depend_on_order_and_the_safetensors_crate_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = write_file(folder.path(), "one.safetensors", &["a", "b.bias", "c"]);
        let other = write_file(folder.path(), "two.safetensors", &["c", "b.bias", "a"]);
        assert_eq!(bytes, other);
        let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let a = read.tensor("a").unwrap();
        assert_eq!(
            (a.shape(), a.dtype()),
            (&[2, 2][..], safetensors::Dtype::F32)
        );
        let expected: Vec<u8> = [1.0_f32, -0.0, f32::INFINITY, 1e-40]
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        assert_eq!(a.data(), expected);
        assert_eq!(read.tensor("c").unwrap().shape(), [0, 3]);
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header.metadata().as_ref().unwrap()["a"], "ü\"");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn invalid_tensors_are_named_and_no_file_remains() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let mut writer = SafetensorsWriter::create(&path, &shapes(), &BTreeMap::new()).unwrap();
        let error = writer.write("d", &[]).unwrap_err().to_string();
        assert!(
            error.contains("\"d\"") && error.contains("not declared"),
            "{error}"
        );
        let error = writer.write("a", &[1.0]).unwrap_err().to_string();
        assert!(error.ends_with("1 values; its shape has 4"), "{error}");
        writer.write("a", &[0.0; 4]).unwrap();
        writer.write("a", &[0.0; 4]).unwrap_err();
        let error = writer.finish().unwrap_err().to_string();
        assert!(
            error.contains("\"b.bias\"") && error.contains("(2 in total)"),
            "{error}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let reserved = BTreeMap::from([("__metadata__".to_owned(), vec![1])]);
        SafetensorsWriter::create(&path, &reserved, &BTreeMap::new()).unwrap_err();
        // Readers would refuse such a file.
        let text = "x".repeat(SafetensorsWriter::MAX_HEADER_BYTES as usize);
        let metadata = BTreeMap::from([("text".to_owned(), text)]);
        let error = SafetensorsWriter::create(&path, &shapes(), &metadata).unwrap_err();
        assert!(matches!(error, WeightsError::Limit { .. }), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
