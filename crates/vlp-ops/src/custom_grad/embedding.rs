//! [`embedding`](crate::embedding) whose gradient is one kernel.

use burn::backend::Cube;
use burn::prelude::*;
use burn::tensor::module;

use super::with_gradient;
use crate::capture::Value;
use crate::cube::segment_sum::{segment_sum, takes};
use crate::graph::autodiff_primitive;

/// Rows of `table` by id; `None` for a table that has no gradient, or is not f32 on a GPU.
pub(crate) fn embedding(table: &Tensor<2>, ids: &Tensor<2, Int>) -> Option<Tensor<3>> {
    if !table.is_autodiff() || crate::is_cpu(&table.device().inner()) {
        return None;
    }
    let node = autodiff_primitive(table)?;
    let values = table.clone().without_autodiff();
    let ids = ids.clone().without_autodiff();
    let [segments, width] = values.dims();
    let count = ids.dims().iter().product();
    let flat_ids = ids.clone().reshape([count]);
    if !Value::from(values.clone()).is_f32() || !takes(count, width, segments) {
        return None;
    }
    let output = module::embedding(values, ids);
    Some(with_gradient::<Cube, 3, 1>(output, [node], move |grad| {
        // It is on the GPU that the table is on.
        #[allow(clippy::expect_used)]
        let sums = segment_sum(grad.reshape([count, width]), flat_ids, segments)
            .expect("a gradient on the table's device");
        [sums.into_dispatch()]
    }))
}
