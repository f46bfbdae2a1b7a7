//! The public operations: each chooses among the CPU fast path, a GPU path and burn's own operations.

pub(crate) mod adamw;
pub(crate) mod affine;
pub(crate) mod assign;
pub(crate) mod attention;
pub(crate) mod batch_norm;
pub(crate) mod boxes;
pub(crate) mod conv2d;
pub(crate) mod dropout;
pub(crate) mod embedding;
pub(crate) mod gelu;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod log_prob;
pub(crate) mod matmul;
pub(crate) mod max_pool2d;
pub(crate) mod nearest_code;
pub(crate) mod recompute;
pub(crate) mod segment_sum;
pub(crate) mod sgd;
pub(crate) mod stochastic_rounding;
pub(crate) mod sum_of_squares;
pub(crate) mod update_all;
