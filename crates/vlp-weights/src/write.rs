//! Writing `.safetensors`: values pass through one tensor at a time.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::error::WeightsError;

/// Values are turned to bytes in pieces of so many.
const PIECE: usize = 1 << 14;

/// Writes `f32` tensors whose names and shapes are known beforehand, in whatever order they come.
///
/// The same tensors and metadata give the same bytes. The file appears under its name when [`Self::finish`] returns;
/// until then it stands beside it with `.partial` added.
#[derive(Debug)]
pub struct SafetensorsWriter {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    /// Not yet written: count of values and where they go.
    open: BTreeMap<String, (usize, u64)>,
    done: bool,
}

impl SafetensorsWriter {
    /// Starts a file of tensors with these names and shapes (`[]` for a scalar), and free text of one's own.
    ///
    /// # Errors
    /// [`WeightsError::Write`]; [`WeightsError::Given`] for the name `__metadata__` or a shape that overflows.
    pub fn create(
        path: impl AsRef<Path>,
        shapes: &BTreeMap<String, Vec<usize>>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let (header, open) = layout(path, shapes, metadata)?;
        let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
        name.push(".partial");
        let partial = path.with_file_name(name);
        let fail = |source| WeightsError::Write {
            path: path.into(),
            source,
        };
        let mut file = File::create(&partial).map_err(fail)?;
        let mut writer = Self {
            path: path.into(),
            partial,
            file: file.try_clone().map_err(fail)?,
            open,
            done: false,
        };
        let base = 8 + header.len() as u64;
        for (_, start) in writer.open.values_mut() {
            *start += base;
        }
        file.write_all(&(header.len() as u64).to_le_bytes())
            .and_then(|()| file.write_all(&header))
            .map_err(fail)?;
        Ok(writer)
    }

    /// Writes the values of one tensor, row-major.
    ///
    /// # Errors
    /// [`WeightsError::Given`] for a name not announced, written twice, or with another count of values;
    /// [`WeightsError::Write`].
    pub fn write(&mut self, name: &str, values: &[f32]) -> Result<(), WeightsError> {
        let given = |reason: String| WeightsError::Given {
            path: self.path.clone(),
            tensor: name.into(),
            reason,
        };
        let Some(&(count, start)) = self.open.get(name) else {
            return Err(given(
                "it was not announced, or is written already; announce every tensor in create and write it once"
                    .into(),
            ));
        };
        if count != values.len() {
            return Err(given(format!(
                "{} values; its shape has {count}",
                values.len()
            )));
        }
        self.put(start, values)
            .map_err(|source| WeightsError::Write {
                path: self.path.clone(),
                source,
            })?;
        self.open.remove(name);
        Ok(())
    }

    fn put(&mut self, start: u64, values: &[f32]) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::with_capacity(4 * values.len().min(PIECE));
        for piece in values.chunks(PIECE) {
            bytes.clear();
            bytes.extend(piece.iter().flat_map(|value| value.to_le_bytes()));
            self.file.write_all(&bytes)?;
        }
        Ok(())
    }

    /// Puts the file under its name.
    ///
    /// # Errors
    /// [`WeightsError::Given`] naming a tensor that was not written; [`WeightsError::Write`].
    pub fn finish(mut self) -> Result<(), WeightsError> {
        if let Some(name) = self.open.keys().next() {
            return Err(WeightsError::Given {
                path: self.path.clone(),
                tensor: name.clone(),
                reason: format!(
                    "it was announced but not written ({} such); write every one before finish",
                    self.open.len()
                ),
            });
        }
        let put = self
            .file
            .sync_all()
            .and_then(|()| fs::rename(&self.partial, &self.path));
        put.map_err(|source| WeightsError::Write {
            path: self.path.clone(),
            source,
        })?;
        self.done = true;
        Ok(())
    }
}

impl Drop for SafetensorsWriter {
    fn drop(&mut self) {
        if !self.done {
            // Nothing is left to be told of: the file was given up.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

type Places = BTreeMap<String, (usize, u64)>;

/// The header's bytes, padded to a multiple of 8, and every tensor's count and offset in the data.
fn layout(
    path: &Path,
    shapes: &BTreeMap<String, Vec<usize>>,
    metadata: &BTreeMap<String, String>,
) -> Result<(Vec<u8>, Places), WeightsError> {
    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert("__metadata__".into(), json!(metadata));
    }
    let (mut places, mut end) = (Places::new(), 0_u64);
    for (name, shape) in shapes {
        let given = |reason: &str| WeightsError::Given {
            path: path.into(),
            tensor: name.clone(),
            reason: reason.into(),
        };
        if name == "__metadata__" {
            return Err(given("the format keeps this name for itself; use another"));
        }
        let count = shape
            .iter()
            .try_fold(1_usize, |count, &side| count.checked_mul(side));
        let next = |count: usize| (count as u64).checked_mul(4)?.checked_add(end);
        let (count, next) = count
            .and_then(|count| Some((count, next(count)?)))
            .ok_or_else(|| given("its shape has more values than a file can hold"))?;
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [end, next]});
        header.insert(name.clone(), entry);
        places.insert(name.clone(), (count, end));
        end = next;
    }
    let mut bytes = Value::Object(header).to_string().into_bytes();
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    Ok((bytes, places))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shapes() -> BTreeMap<String, Vec<usize>> {
        [("a", vec![2, 2]), ("b.bias", vec![]), ("c", vec![0, 3])]
            .map(|(name, shape)| (name.to_owned(), shape))
            .into()
    }

    fn written(folder: &Path, name: &str, order: &[&str]) -> Vec<u8> {
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
    fn the_same_bytes_in_any_order_and_as_the_format_s_own_library_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = written(folder.path(), "one.safetensors", &["a", "b.bias", "c"]);
        let other = written(folder.path(), "two.safetensors", &["c", "b.bias", "a"]);
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
    fn what_was_not_announced_is_named_and_no_file_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let mut writer = SafetensorsWriter::create(&path, &shapes(), &BTreeMap::new()).unwrap();
        let error = writer.write("d", &[]).unwrap_err().to_string();
        assert!(
            error.contains("\"d\"") && error.contains("not announced"),
            "{error}"
        );
        let error = writer.write("a", &[1.0]).unwrap_err().to_string();
        assert!(error.ends_with("1 values; its shape has 4"), "{error}");
        writer.write("a", &[0.0; 4]).unwrap();
        writer.write("a", &[0.0; 4]).unwrap_err();
        let error = writer.finish().unwrap_err().to_string();
        assert!(
            error.contains("\"b.bias\"") && error.contains("(2 such)"),
            "{error}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let own = BTreeMap::from([("__metadata__".to_owned(), vec![1])]);
        SafetensorsWriter::create(&path, &own, &BTreeMap::new()).unwrap_err();
    }
}
