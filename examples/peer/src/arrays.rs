//! Tensors of an inputs file on the host, of the types that it may hold.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize_to_file};

use crate::error::PeerError;

/// Named tensors, row-major.
#[derive(Debug, Default)]
pub(crate) struct Arrays {
    found: BTreeMap<String, Array>,
}

#[derive(Debug)]
struct Array {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// A number that a file may hold.
pub(crate) trait Element: Copy {
    const DTYPE: Dtype;
    fn append(self, bytes: &mut Vec<u8>);
    fn read(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! element {
    ($($kind:ty: $dtype:ident),+) => {$(
        impl Element for $kind {
            const DTYPE: Dtype = Dtype::$dtype;

            fn append(self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }

            fn read(bytes: &[u8]) -> Vec<Self> {
                let (words, _) = bytes.as_chunks();
                words.iter().map(|&word| Self::from_le_bytes(word)).collect()
            }
        }
    )+};
}

element!(f32: F32, f64: F64, i32: I32, u8: U8);

impl Arrays {
    pub(crate) fn put<T: Element>(&mut self, name: &str, shape: &[usize], values: &[T]) {
        let mut bytes = Vec::with_capacity(size_of_val(values));
        values.iter().for_each(|value| value.append(&mut bytes));
        let array = Array {
            dtype: T::DTYPE,
            shape: shape.to_vec(),
            bytes,
        };
        self.found.insert(name.into(), array);
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.found.contains_key(name)
    }

    /// Sizes and values of a tensor of `D` dimensions.
    pub(crate) fn get<T: Element, const D: usize>(
        &self,
        name: &str,
    ) -> Result<([usize; D], Vec<T>), PeerError> {
        let fail = |reason: String| PeerError::Input {
            name: name.into(),
            reason,
        };
        let array = self.found.get(name);
        let array = array.ok_or_else(|| fail("is missing".into()))?;
        let shape = <[usize; D]>::try_from(array.shape.as_slice());
        match shape {
            Ok(shape) if array.dtype == T::DTYPE => Ok((shape, T::read(&array.bytes))),
            _ => Err(fail(format!(
                "is {:?} {:?}; {:?} of {D} dimensions was expected",
                array.dtype,
                array.shape,
                T::DTYPE
            ))),
        }
    }

    pub(crate) fn read(path: &Path) -> Result<Self, PeerError> {
        let bytes = std::fs::read(path).map_err(|e| PeerError::file(path, e))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| PeerError::file(path, e))?;
        let array = |(name, view): (String, TensorView<'_>)| {
            let array = Array {
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                bytes: view.data().to_vec(),
            };
            (name, array)
        };
        Ok(Self {
            found: file.tensors().into_iter().map(array).collect(),
        })
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), PeerError> {
        let views = self.found.iter().map(|(name, array)| {
            TensorView::new(array.dtype, array.shape.clone(), &array.bytes)
                .map(|view| (name.as_str(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>();
        views
            .and_then(|views| serialize_to_file(views, None, path))
            .map_err(|e| PeerError::file(path, e))
    }
}
