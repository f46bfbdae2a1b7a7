#![doc = include_str!("../README.md")]

/// Statements of the CPU fast path: compiled with the feature `flex` alone.
#[cfg(feature = "flex")]
macro_rules! cpu_path {
    ($($body:tt)*) => { $($body)* };
}
#[cfg(not(feature = "flex"))]
macro_rules! cpu_path {
    ($($body:tt)*) => {};
}

/// Statements of the GPU path: compiled for a GPU backend alone.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
macro_rules! gpu_path {
    ($($body:tt)*) => { $($body)* };
}
#[cfg(not(any(feature = "wgpu", feature = "cuda")))]
macro_rules! gpu_path {
    ($($body:tt)*) => {};
}

mod allocator;
#[cfg(feature = "flex")]
mod autodiff;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda", test))]
mod custom_grad;
mod dispatch;
mod flops;
#[cfg(any(feature = "flex", feature = "wgpu", feature = "cuda"))]
mod graph;
pub mod init;
mod ops;
pub mod params;
mod simd_level;
mod threads;

pub use allocator::tune_allocator;
pub use dispatch::{MatmulPrecision, set_matmul_precision, use_fast_paths};
pub use flops::{count_flops, flops};
pub use ops::adamw::{AdamWStep, adamw};
pub use ops::affine::{Affine, affine};
pub use ops::attention::attention;
pub use ops::batch_norm::{BatchNormOutput, batch_norm};
pub use ops::conv2d::{Conv2dAlgorithms, conv2d, conv2d_affine, conv2d_algorithms};
#[doc(hidden)]
pub use ops::conv2d::{
    excludable_conv2d_algorithms, exclude_conv2d_algorithm, uses_of_excluded_conv2d_algorithm,
};
pub use ops::dropout::{DropoutMask, dropout};
pub use ops::embedding::embedding;
pub use ops::gelu::gelu;
pub use ops::geometry::Conv2dGeometry;
pub use ops::layer_norm::{LayerNorm, layer_norm};
pub use ops::linear::{linear, linear_layer, tied_logits};
pub use ops::log_prob::log_prob;
pub use ops::max_pool2d::max_pool2d;
pub use ops::nearest_code::nearest_code;
pub use ops::recompute::{is_recomputing, recompute};
pub use ops::sgd::{SgdStep, sgd};
pub use ops::softmax::softmax;
pub use ops::sum_of_squares::sum_of_squares;
pub use simd_level::{SimdError, SimdLevel, detected_simd_level, init_simd, simd_level};
pub use threads::{join_thread_pool, run_concurrently};
