//! The precision of training.

use std::fmt;
use std::str::FromStr;

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use vlp_ops::{MatmulPrecision, is_cpu, set_matmul_precision};

use crate::error::TrainError;

/// Precision of matrix multiplications and convolutions. Weights and their gradients, norms, losses and moments are f32; so are
/// activations, except for bf16 on a GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Operands in f32. GPUs with TF32 then multiply matrices without tensor cores, but their convolutions use TF32.
    #[default]
    F32,
    /// Operands rounded to TF32, 11 bits of significand, where a GPU has it; f32 elsewhere.
    Tf32,
    /// Operands rounded to bf16, 8 bits of significand; sums in f32. On a GPU, activations between the layers of the backbone,
    /// query, key, value and output of attention and the input of GELU are bf16 too.
    Bf16,
}

impl Precision {
    pub(crate) fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// Sets the precision of the whole process for devices like this one ([`set_matmul_precision`]).
    ///
    /// # Errors
    /// [`TrainError::Config`] if the device does not support it.
    pub fn set(self, device: &Device) -> Result<(), TrainError> {
        let precision = match self {
            Self::F32 => MatmulPrecision::F32,
            Self::Tf32 => MatmulPrecision::Tf32,
            Self::Bf16 => MatmulPrecision::Bf16,
        };
        if set_matmul_precision(precision, device) {
            return Ok(());
        }
        let hint = match is_cpu(device) {
            true => "this processor has no instructions for bf16 (AVX-512 BF16); use f32",
            false => "this GPU does not support bf16; use tf32 or f32",
        };
        Err(TrainError::Config {
            key: "precision".into(),
            value: self.to_string(),
            hint: hint.into(),
        })
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::F32, Self::Tf32, Self::Bf16];
        let precision = all
            .into_iter()
            .find(|precision| precision.to_string() == text);
        precision.ok_or_else(|| format!("precision \"{text}\": use f32, tf32 or bf16"))
    }
}
