//! Types of stored values and their conversion to `f32`.

use std::fmt;

use half::{bf16, f16};

/// Type of a tensor's values in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
#[non_exhaustive]
pub enum DType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
    /// A type that cannot be converted to `f32` here, such as an 8-bit float.
    Other(&'static str),
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(name) => f.write_str(name),
            dtype => write!(f, "{dtype:?}"),
        }
    }
}

impl DType {
    /// Converts little-endian `bytes` to the nearest `f32` values; `None` for [`DType::Other`].
    pub(crate) fn to_f32(self, bytes: &[u8]) -> Option<Vec<f32>> {
        Some(match self {
            Self::F64 => convert(bytes, |b| f64::from_le_bytes(b) as f32),
            Self::F32 => convert(bytes, f32::from_le_bytes),
            Self::F16 => convert(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Self::BF16 => convert(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Self::I64 => convert(bytes, |b| i64::from_le_bytes(b) as f32),
            Self::I32 => convert(bytes, |b| i32::from_le_bytes(b) as f32),
            Self::I16 => convert(bytes, |b| i16::from_le_bytes(b).into()),
            Self::I8 => convert(bytes, |b| i8::from_le_bytes(b).into()),
            Self::U64 => convert(bytes, |b| u64::from_le_bytes(b) as f32),
            Self::U32 => convert(bytes, |b| u32::from_le_bytes(b) as f32),
            Self::U16 => convert(bytes, |b| u16::from_le_bytes(b).into()),
            Self::U8 => convert(bytes, |[b]| b.into()),
            Self::Bool => convert(bytes, |[b]| f32::from(u8::from(b != 0))),
            Self::Other(_) => return None,
        })
    }

    pub(crate) fn from_safetensors(dtype: safetensors::Dtype) -> Self {
        use safetensors::Dtype as Stored;
        match dtype {
            Stored::F64 => Self::F64,
            Stored::F32 => Self::F32,
            Stored::F16 => Self::F16,
            Stored::BF16 => Self::BF16,
            Stored::I64 => Self::I64,
            Stored::I32 => Self::I32,
            Stored::I16 => Self::I16,
            Stored::I8 => Self::I8,
            Stored::U64 => Self::U64,
            Stored::U32 => Self::U32,
            Stored::U16 => Self::U16,
            Stored::U8 => Self::U8,
            Stored::BOOL => Self::Bool,
            Stored::C64 => Self::Other("complex64"),
            Stored::F8_E4M3 => Self::Other("F8_E4M3"),
            Stored::F8_E5M2 => Self::Other("F8_E5M2"),
            _ => Self::Other("a float of less than 16 bits"),
        }
    }

    pub(crate) fn from_pytorch(dtype: pytorch_reader::DType) -> Self {
        use pytorch_reader::DType as Stored;
        match dtype {
            Stored::F64 => Self::F64,
            Stored::F32 => Self::F32,
            Stored::F16 => Self::F16,
            Stored::BF16 => Self::BF16,
            Stored::I64 => Self::I64,
            Stored::I32 => Self::I32,
            Stored::I16 => Self::I16,
            Stored::I8 => Self::I8,
            Stored::U64 => Self::U64,
            Stored::U32 => Self::U32,
            Stored::U16 => Self::U16,
            Stored::U8 => Self::U8,
            Stored::Bool => Self::Bool,
        }
    }
}

fn convert<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&bytes| value(bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_converts_to_f32() {
        let cases: [(DType, &[u8], f32); 13] = [
            (DType::F64, &1e300_f64.to_le_bytes(), f32::INFINITY),
            (DType::F32, &(-0.1_f32).to_le_bytes(), -0.1),
            // Smallest subnormal of half precision, 2^-24.
            (DType::F16, &[1, 0], 5.960_464_5e-8),
            (DType::BF16, &[0x80, 0x3f], 1.0),
            (DType::I64, &(-3_i64).to_le_bytes(), -3.0),
            // 2^24 + 1 is halfway between two floats; ties round to even.
            (DType::I32, &16_777_217_i32.to_le_bytes(), 16_777_216.0),
            (DType::I16, &(-300_i16).to_le_bytes(), -300.0),
            (DType::I8, &[0x80], -128.0),
            (
                DType::U64,
                &u64::MAX.to_le_bytes(),
                18_446_744_073_709_551_616.0,
            ),
            (DType::U32, &7_u32.to_le_bytes(), 7.0),
            (DType::U16, &65_535_u16.to_le_bytes(), 65_535.0),
            (DType::U8, &[200], 200.0),
            (DType::Bool, &[1], 1.0),
        ];
        for (dtype, bytes, expected) in cases {
            assert_eq!(dtype.to_f32(bytes), Some(vec![expected]), "{dtype}");
        }
        assert_eq!(DType::Other("F8_E4M3").to_f32(&[0]), None);
        assert_eq!(DType::Other("F8_E4M3").to_string(), "F8_E4M3");
        assert_eq!(DType::BF16.to_string(), "BF16");
    }
}
