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
#[cfg(feature = "gpu")]
macro_rules! gpu_path {
    ($($body:tt)*) => { $($body)* };
}
#[cfg(not(feature = "gpu"))]
macro_rules! gpu_path {
    ($($body:tt)*) => {};
}

mod activation_precision;
mod allocator;
#[cfg(feature = "flex")]
mod autodiff;
pub mod capture;
mod composed;
mod constant;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(feature = "gpu")]
mod cube;
#[cfg(any(feature = "gpu", test))]
mod custom_grad;
mod device;
mod dispatch;
mod flops;
#[cfg(any(feature = "flex", feature = "gpu"))]
mod graph;
mod identity;
mod in_place;
pub mod init;
mod ops;
pub mod params;
mod precision;
mod random;
// Without a backend there is no second pass.
#[cfg_attr(not(any(feature = "flex", feature = "gpu")), allow(dead_code))]
mod replay;
mod seed_table;
mod simd_level;
mod split_mix;
mod threads;
mod to_cpu;
mod two_threads;
mod types;

pub use activation_precision::{from_activation_precision, to_activation_precision};
pub use allocator::tune_allocator;
pub use composed::softmax::softmax;
pub use constant::{constant_floats, constant_ints};
pub use device::is_cpu;
pub use dispatch::use_fast_paths;
pub use flops::{count_flops, flops};
pub use identity::is_same_tensor;
pub use in_place::InPlace;
pub use ops::adamw::adamw;
pub use ops::affine::affine;
pub use ops::assign::assign;
pub use ops::attention::attention;
pub use ops::batch_norm::batch_norm;
pub use ops::boxes::{box_losses, pairwise_box_cost};
pub use ops::conv2d::{Conv2dAlgorithms, conv2d, conv2d_affine, conv2d_algorithms};
#[doc(hidden)]
pub use ops::conv2d::{
    excludable_conv2d_algorithms, exclude_conv2d_algorithm, uses_of_excluded_conv2d_algorithm,
};
pub use ops::dropout::dropout;
pub use ops::embedding::embedding;
pub use ops::gelu::gelu;
pub use ops::layer_norm::{LayerNorm, layer_norm};
pub use ops::linear::{linear, linear_layer, tied_logits};
pub use ops::log_prob::{log_prob, log_prob_at};
pub use ops::matmul::{f32_matmul, matmul};
pub use ops::max_pool2d::max_pool2d;
pub use ops::nearest_code::nearest_code;
pub use ops::recompute::recompute;
pub use ops::segment_sum::segment_sum;
pub use ops::sgd::sgd;
pub use ops::sum_of_squares::sum_of_squares;
pub use ops::update_all::{
    AdamWUpdate, SgdUpdate, adamw_all, assign_all, moving_averages, sgd_all, update_constants,
};
#[doc(hidden)]
pub use precision::set_gpu_operands;
pub use precision::{MatmulPrecision, set_matmul_precision};
pub use random::seed_random;
pub use replay::is_recomputing;
pub use seed_table::{dropout_seed_count, sample_dropout_seeds, with_dropout_seeds};
pub use simd_level::{SimdError, SimdLevel, detected_simd_level, init_simd, simd_level};
pub use split_mix::split_mix;
pub use threads::{
    join_thread_pool, micro_batch, run_concurrently, thread_count, with_micro_batch,
};
pub use to_cpu::{copies_to_cpu, to_cpu};
pub use types::adamw_step::AdamWStep;
pub use types::affine::Affine;
pub use types::assignment::Assignment;
pub use types::batch_norm_output::BatchNormOutput;
pub use types::box_cost::BoxCost;
pub use types::dropout_mask::DropoutMask;
pub use types::geometry::Conv2dGeometry;
pub use types::sgd_step::SgdStep;
pub use types::update_control::UpdateControl;
