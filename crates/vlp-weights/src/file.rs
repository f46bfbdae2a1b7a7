//! A file of named tensors, whose values are read when they are asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::dtype::DType;
use crate::error::WeightsError;
use crate::limits::check_tensor;
use crate::pytorch::{Head, head, open_legacy, open_zip};
use crate::safe::header;

/// Format of a [`WeightsFile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// `.safetensors`.
    Safetensors,
    /// `torch.save` of PyTorch 1.6 and later, a zip archive.
    PyTorch,
    /// `torch.save` of PyTorch 1.5 and earlier.
    PyTorchLegacy,
}

/// What is known of a tensor without reading its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Type of its values in the file.
    pub dtype: DType,
    /// Its shape; empty for a scalar.
    pub shape: Vec<usize>,
}

enum Values {
    /// Bytes of the file itself, from and how many.
    At(u64, u64),
    PyTorch(Box<pytorch_reader::Tensor>),
}

/// An open `.safetensors`, `.pth` or `.pt` file; the format is told by its content.
///
/// A dictionary that wraps the weights (`state_dict`, `model_state_dict`, `model`, `module`, `net`) and the prefix
/// `module.` before every name are taken off a PyTorch file's names.
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
    /// Reads names, types and shapes. No code in the file is ever run.
    ///
    /// # Errors
    /// [`WeightsError::Read`], [`WeightsError::Format`] for what is no whole checkpoint, [`WeightsError::Limit`] for
    /// one that asks for far more memory than its size.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let fail = |source| WeightsError::Read {
            path: path.into(),
            source,
        };
        let mut file = File::open(path).map_err(fail)?;
        let len = file.metadata().map_err(fail)?.len();
        let mut metadata = BTreeMap::new();
        let of_pytorch = |found: Vec<(String, pytorch_reader::Tensor)>| {
            let entry = |(name, tensor): (String, pytorch_reader::Tensor)| {
                let info = TensorInfo {
                    dtype: DType::of_pytorch(tensor.dtype()),
                    shape: tensor.shape().to_vec(),
                };
                (name, (info, Values::PyTorch(Box::new(tensor))))
            };
            found.into_iter().map(entry).collect()
        };
        let (format, tensors) = match head(&mut file).map_err(fail)? {
            Head::Zip => {
                let found = open_zip(path, &mut file, len)?;
                (Format::PyTorch, of_pytorch(found))
            }
            Head::Legacy => {
                let found = open_legacy(path, &mut file)?;
                (Format::PyTorchLegacy, of_pytorch(found))
            }
            Head::Safetensors => {
                let header = header(path, &mut file, len)?;
                metadata = header.metadata;
                let entry = |(name, info, start): (_, safetensors::tensor::TensorInfo, _)| {
                    let bytes = info.data_offsets.1 - info.data_offsets.0;
                    let known = TensorInfo {
                        dtype: DType::of_safetensors(info.dtype),
                        shape: info.shape,
                    };
                    (name, (known, Values::At(start, bytes as u64)))
                };
                let found = header.tensors.into_iter().map(entry).collect();
                (Format::Safetensors, found)
            }
            Head::Unknown(what) => {
                return Err(WeightsError::Format {
                    path: path.into(),
                    reason: format!(
                        "{what}; give a .safetensors file, or a .pth or .pt file written by torch.save"
                    ),
                });
            }
        };
        Ok(Self {
            path: path.into(),
            file: Mutex::new(file),
            len,
            format,
            tensors,
            metadata,
        })
    }

    /// The file's path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Names of all tensors in alphabetical order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Names, types and shapes in the same order.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &TensorInfo)> {
        self.tensors
            .iter()
            .map(|(name, (info, _))| (name.as_str(), info))
    }

    /// Free text of a safetensors header; empty for a PyTorch file.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Type and shape of a tensor.
    ///
    /// # Errors
    /// [`WeightsError::Missing`] with the nearest names.
    pub fn info(&self, name: &str) -> Result<&TensorInfo, WeightsError> {
        Ok(&self.entry(name)?.0)
    }

    /// Values of a tensor in row-major order, rounded to the nearest `f32`.
    ///
    /// # Errors
    /// [`WeightsError::Missing`], [`WeightsError::Type`], [`WeightsError::Limit`] for a tensor far larger than the
    /// file, [`WeightsError::Tensor`] where its bytes are damaged or missing.
    pub fn f32(&self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let (info, values) = self.entry(name)?;
        if let DType::Other(_) = info.dtype {
            return Err(self.type_error(name, info));
        }
        let fault = |source: std::io::Error| WeightsError::Tensor {
            path: self.path.clone(),
            tensor: name.into(),
            dtype: info.dtype,
            shape: info.shape.clone(),
            reason: source.to_string(),
        };
        let bytes = match values {
            Values::At(start, count) => self.bytes(*start, *count).map_err(fault)?,
            Values::PyTorch(tensor) => {
                check_tensor(&self.path, self.len, name, tensor.byte_len())?;
                tensor.read().map_err(fault)?
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

    fn bytes(&self, start: u64, count: u64) -> std::io::Result<Vec<u8>> {
        // A reader that panicked left nothing half done: every read seeks first.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))?;
        // The header was checked against the file's length.
        let mut bytes = vec![0; count as usize];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn entry(&self, name: &str) -> Result<&(TensorInfo, Values), WeightsError> {
        self.tensors.get(name).ok_or_else(|| WeightsError::Missing {
            path: self.path.clone(),
            tensor: name.into(),
            count: self.tensors.len(),
            near: self.near(name),
        })
    }

    fn near(&self, name: &str) -> String {
        let mut all: Vec<_> = self
            .names()
            .map(|own| (strsim::jaro_winkler(own, name), own))
            .collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        let best: Vec<_> = all.iter().take(3).map(|(_, own)| *own).collect();
        best.join(", ")
    }
}
