//! A file of named tensors whose values are read on demand.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::dtype::DType;
use crate::error::WeightsError;
use crate::limits::check_tensor;
use crate::pytorch::{FileKind, detect_kind, open_legacy, open_zip};
use crate::safetensors_header::read_header;
use crate::wrapper_names::unwrap_names;

/// Format of a [`WeightsFile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// `.safetensors`.
    Safetensors,
    /// Zip archive of `torch.save`, PyTorch 1.6 and later.
    PyTorch,
    /// File of `torch.save`, PyTorch 1.5 and earlier.
    PyTorchLegacy,
}

/// Type and shape of a tensor in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Type of the values in the file.
    pub dtype: DType,
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
}

/// Location of a tensor's values.
enum Values {
    /// Byte offset and length in the file.
    Range(u64, u64),
    PyTorch(Box<pytorch_reader::Tensor>),
}

/// An open `.safetensors`, `.pth` or `.pt` file; the format is detected from the content.
///
/// Names do not include the dictionary that wraps the weights in a PyTorch file (`state_dict`, `model_state_dict`,
/// `model`, ...; everything next to it is ignored), nor what wrappers add to all names: the prefix `module.` of
/// `DataParallel`, and `_orig_mod.` of `torch.compile` and the like at any depth.
pub struct WeightsFile {
    path: PathBuf,
    file: Mutex<File>,
    len: u64,
    format: Format,
    tensors: BTreeMap<String, (TensorInfo, Values)>,
    metadata: BTreeMap<String, String>,
}

impl fmt::Debug for WeightsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeightsFile")
            .field("path", &self.path)
            .field("format", &self.format)
            .field("tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}

impl WeightsFile {
    /// Opens the file and reads names, types and shapes. Code in the file is never run.
    ///
    /// # Errors
    /// [`WeightsError::Read`], [`WeightsError::Format`] if the file is not a complete checkpoint,
    /// [`WeightsError::Limit`] if it would need far more memory than its size.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let read_error = |source| WeightsError::Read {
            path: path.into(),
            source,
        };
        let mut file = File::open(path).map_err(read_error)?;
        let len = file.metadata().map_err(read_error)?.len();
        let mut metadata = BTreeMap::new();
        let from_pytorch = |tensors: Vec<(String, pytorch_reader::Tensor)>| {
            let entry = |(name, tensor): (String, pytorch_reader::Tensor)| {
                let info = TensorInfo {
                    dtype: DType::from_pytorch(tensor.dtype()),
                    shape: tensor.shape().to_vec(),
                };
                (name, (info, Values::PyTorch(Box::new(tensor))))
            };
            tensors.into_iter().map(entry).collect()
        };
        let (format, tensors) = match detect_kind(&mut file).map_err(read_error)? {
            FileKind::Zip => {
                let tensors = open_zip(path, &mut file, len)?;
                (Format::PyTorch, from_pytorch(tensors))
            }
            FileKind::Legacy => {
                let tensors = open_legacy(path, &mut file)?;
                (Format::PyTorchLegacy, from_pytorch(tensors))
            }
            FileKind::Safetensors => {
                let header = read_header(path, &mut file, len)?;
                metadata = header.metadata;
                let entry = |(name, stored, start): (_, safetensors::tensor::TensorInfo, _)| {
                    let bytes = stored.data_offsets.1 - stored.data_offsets.0;
                    let info = TensorInfo {
                        dtype: DType::from_safetensors(stored.dtype),
                        shape: stored.shape,
                    };
                    (name, (info, Values::Range(start, bytes as u64)))
                };
                let tensors = header.tensors.into_iter().map(entry).collect();
                (Format::Safetensors, tensors)
            }
            FileKind::Unknown(description) => {
                return Err(WeightsError::Format {
                    path: path.into(),
                    reason: format!(
                        "{description}; use a .safetensors file, or a .pth or .pt file written by torch.save"
                    ),
                });
            }
        };
        let tensors: BTreeMap<String, (TensorInfo, Values)> = tensors;
        let names = unwrap_names(tensors.keys().map(String::as_str));
        let tensors = names.into_iter().zip(tensors.into_values()).collect();
        Ok(Self {
            path: path.into(),
            file: Mutex::new(file),
            len,
            format,
            tensors,
            metadata,
        })
    }

    /// The path passed to [`Self::open`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Names, types and shapes of all tensors, sorted by name.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &TensorInfo)> {
        self.tensors
            .iter()
            .map(|(name, (info, _))| (name.as_str(), info))
    }

    /// Metadata of a safetensors header; empty for a PyTorch file.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Type and shape of a tensor.
    ///
    /// # Errors
    /// [`WeightsError::Missing`] with similar names.
    pub fn info(&self, name: &str) -> Result<&TensorInfo, WeightsError> {
        Ok(&self.entry(name)?.0)
    }

    /// Reads the values of a tensor, row-major, rounded to the nearest `f32`.
    ///
    /// # Errors
    /// [`WeightsError::Missing`], [`WeightsError::Type`], [`WeightsError::Limit`] for a tensor far larger than the
    /// file, [`WeightsError::Tensor`] if its bytes are damaged or missing.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let (info, values) = self.entry(name)?;
        if let DType::Other(_) = info.dtype {
            return Err(self.type_error(name, info));
        }
        let tensor_error = |source: std::io::Error| WeightsError::Tensor {
            path: self.path.clone(),
            tensor: name.into(),
            dtype: info.dtype,
            shape: info.shape.clone(),
            reason: source.to_string(),
        };
        let bytes = match values {
            Values::Range(start, count) => self.read_bytes(*start, *count).map_err(tensor_error)?,
            Values::PyTorch(tensor) => {
                check_tensor(&self.path, self.len, name, tensor.byte_len())?;
                tensor.read().map_err(tensor_error)?
            }
        };
        let values = info.dtype.to_f32(&bytes);
        values.ok_or_else(|| self.type_error(name, info))
    }

    fn type_error(&self, name: &str, info: &TensorInfo) -> WeightsError {
        WeightsError::Type {
            path: self.path.clone(),
            tensor: name.into(),
            dtype: info.dtype,
        }
    }

    fn read_bytes(&self, start: u64, count: u64) -> std::io::Result<Vec<u8>> {
        // A poisoned lock is safe to use: every read seeks first.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))?;
        // `open` has checked the header against the file's length.
        let mut bytes = vec![0; count as usize];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn entry(&self, name: &str) -> Result<&(TensorInfo, Values), WeightsError> {
        self.tensors.get(name).ok_or_else(|| WeightsError::Missing {
            path: self.path.clone(),
            tensor: name.into(),
            count: self.tensors.len(),
            nearest: self.nearest(name),
        })
    }

    /// The three most similar names.
    fn nearest(&self, name: &str) -> String {
        let mut candidates: Vec<_> = self
            .names()
            .map(|candidate| (strsim::jaro_winkler(candidate, name), candidate))
            .collect();
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        let nearest: Vec<_> = candidates.iter().take(3).map(|(_, name)| *name).collect();
        nearest.join(", ")
    }
}
