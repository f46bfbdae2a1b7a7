//! AVX-512 BF16 and AMX: `pack` reorders operands, `avx512` or `amx` multiply panels, `gemm` loops over blocks.

mod amx;
mod amx_config;
mod avx512;
mod gemm;
mod isa;
pub(crate) mod layout;
mod operand;
pub(crate) mod pack;

pub(crate) use amx_config::{AmxSession, CHUNK_LINES, EDGE};
pub(crate) use isa::MatmulIsa;
pub(crate) use operand::Packed;
