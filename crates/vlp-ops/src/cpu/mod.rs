//! Kernels of the CPU backend: functions on slices, without autodiff.
//!
//! Results depend on shapes alone, not on the number of threads: the sizes of blocks and the order of sums are fixed.

pub(crate) mod attention;
pub(crate) mod bf16;
pub(crate) mod conv;
pub(crate) mod gelu;
pub(crate) mod gemm;
pub(crate) mod layer_norm;
pub(crate) mod log_prob;
pub(crate) mod math;
pub(crate) mod matrix;
pub(crate) mod max_pool;
pub(crate) mod nchw_strips;
pub(crate) mod nearest_code;
pub(crate) mod norm_relu;
pub(crate) mod optimizer;
pub(crate) mod simd;
pub(crate) mod softmax;
pub(crate) mod spin_wait;
pub(crate) mod sums;
pub(crate) mod tensor;
pub(crate) mod threads;
