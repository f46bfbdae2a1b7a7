//! The SIMD instruction set of the CPU kernels: detected once, lowered by `VLP_SIMD`.

use std::fmt;
use std::sync::OnceLock;

/// Environment variable that lowers the instruction set.
const VARIABLE: &str = "VLP_SIMD";

/// A SIMD instruction set, from the least to the most capable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SimdLevel {
    /// No explicit vector instructions.
    Scalar,
    /// aarch64: vectors of 128 bits.
    Neon,
    /// x86-64: AVX2 and FMA, vectors of 256 bits (the level x86-64-v3).
    Avx2,
    /// x86-64: AVX-512 F, BW, CD, DQ and VL, vectors of 512 bits (the level x86-64-v4).
    Avx512,
}

impl fmt::Display for SimdLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2+fma",
            Self::Avx512 => "avx512",
        })
    }
}

/// A value of `VLP_SIMD` that names no instruction set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimdError {
    value: String,
}

impl fmt::Display for SimdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = &self.value;
        write!(
            f,
            "{VARIABLE}={value:?} is not one of scalar, neon, avx2, avx512"
        )
    }
}

impl std::error::Error for SimdError {}

/// The instruction set that the CPU kernels of this process use: that of the processor, or a lower one named by the
/// environment variable `VLP_SIMD` (`scalar`, `neon`, `avx2` or `avx512`). A higher one than the processor's, or one of
/// another architecture, changes nothing.
///
/// A program calls this once at the start of `main`, to report an invalid value. Without this call the kernels make the same
/// choice and ignore an invalid value.
///
/// The variable applies to this crate's kernels, its calls of the `gemm` crate included. burn's own CPU operations
/// detect the instruction set themselves.
///
/// # Errors
/// [`SimdError`] if the variable has another value.
pub fn init_simd() -> Result<SimdLevel, SimdError> {
    choice().clone()
}

/// The instruction set in use: see [`init_simd`].
pub fn simd_level() -> SimdLevel {
    match choice() {
        Ok(level) => *level,
        Err(_) => detected_simd_level(),
    }
}

/// The instruction set that the processor has, regardless of `VLP_SIMD`.
pub fn detected_simd_level() -> SimdLevel {
    static DETECTED: OnceLock<SimdLevel> = OnceLock::new();
    *DETECTED.get_or_init(detect)
}

fn choice() -> &'static Result<SimdLevel, SimdError> {
    static CHOICE: OnceLock<Result<SimdLevel, SimdError>> = OnceLock::new();
    CHOICE.get_or_init(|| {
        let value = std::env::var_os(VARIABLE).unwrap_or_default();
        choose(&value.to_string_lossy(), detected_simd_level())
    })
}

fn choose(value: &str, detected: SimdLevel) -> Result<SimdLevel, SimdError> {
    let requested = match value {
        "" => return Ok(detected),
        "scalar" => SimdLevel::Scalar,
        "neon" => SimdLevel::Neon,
        "avx2" => SimdLevel::Avx2,
        "avx512" => SimdLevel::Avx512,
        _ => {
            return Err(SimdError {
                value: value.into(),
            });
        }
    };
    // No processor has both NEON and AVX.
    let same_architecture = (requested == SimdLevel::Neon) == (detected == SimdLevel::Neon);
    let is_lower = requested == SimdLevel::Scalar || (same_architecture && requested < detected);
    Ok(if is_lower { requested } else { detected })
}

/// The features that `pulp` needs for each level.
#[cfg(target_arch = "x86_64")]
fn detect() -> SimdLevel {
    let avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512cd")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (false, _) => SimdLevel::Scalar,
        (true, false) => SimdLevel::Avx2,
        (true, true) => SimdLevel::Avx512,
    }
}

#[cfg(target_arch = "aarch64")]
fn detect() -> SimdLevel {
    match std::arch::is_aarch64_feature_detected!("neon") {
        true => SimdLevel::Neon,
        false => SimdLevel::Scalar,
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect() -> SimdLevel {
    SimdLevel::Scalar
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_variable_lowers_the_level_and_never_raises_it() {
        use SimdLevel::{Avx2, Avx512, Neon, Scalar};
        for (value, detected, chosen) in [
            ("", Avx512, Avx512),
            ("avx512", Avx512, Avx512),
            ("avx2", Avx512, Avx2),
            ("scalar", Avx512, Scalar),
            ("neon", Avx512, Avx512),
            ("avx512", Avx2, Avx2),
            ("avx2", Scalar, Scalar),
            ("neon", Scalar, Scalar),
            ("avx2", Neon, Neon),
            ("scalar", Neon, Scalar),
        ] {
            assert_eq!(choose(value, detected), Ok(chosen), "{value} of {detected}");
        }
    }

    #[test]
    fn an_unknown_value_is_an_error_that_lists_the_known_ones() {
        let error = choose("sse2", SimdLevel::Avx2).unwrap_err();
        let message = "VLP_SIMD=\"sse2\" is not one of scalar, neon, avx2, avx512";
        assert_eq!(error.to_string(), message);
    }

    /// A build without the vector code of `pulp` would give correct results, several times as slowly.
    #[test]
    #[cfg(all(feature = "flex", target_arch = "x86_64"))]
    fn the_widest_instructions_are_used() {
        let lowered = std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty());
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && !lowered {
            assert!(simd_level() > SimdLevel::Scalar);
        }
        let lanes = crate::cpu::simd::f32_lanes();
        let expected = match simd_level() {
            SimdLevel::Avx512 => 16,
            SimdLevel::Avx2 => 8,
            SimdLevel::Neon => 4,
            SimdLevel::Scalar => 1,
        };
        assert_eq!(lanes, expected, "{}", simd_level());
    }
}
