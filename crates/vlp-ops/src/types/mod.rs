//! Arguments and results of operations, which kernels use too.

pub(crate) mod adamw_step;
pub(crate) mod affine;
pub(crate) mod assignment;
pub(crate) mod batch_norm_output;
pub(crate) mod box_cost;
pub(crate) mod dropout_mask;
pub(crate) mod geometry;
pub(crate) mod sgd_step;
pub(crate) mod update_control;
