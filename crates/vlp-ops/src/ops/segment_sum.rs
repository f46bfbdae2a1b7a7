//! Sums of rows by segment (JAX's `segment_sum`), in the order of the rows.

use burn::prelude::*;
use burn::tensor::IndexingUpdateOp;

/// Row `s` of the result is the sum of the rows of `data` whose id is `s`, zero where there is none.
///
/// # Shapes
/// - `data`: `[rows, width]`, f32
/// - `ids`: `[rows]`, in `0..segments`
/// - output: `[segments, width]`
pub fn segment_sum(data: Tensor<2>, ids: Tensor<1, Int>, segments: usize) -> Tensor<2> {
    gpu_path! {
        if let Some(sums) = crate::cube::segment_sum::segment_sum(data.clone(), ids.clone(), segments) {
            return sums.into_tensor();
        }
    }
    let options = (&data.device(), data.dtype());
    let zeros = Tensor::zeros([segments, data.dims()[1]], options);
    zeros.select_assign(0, ids, data, IndexingUpdateOp::Add)
}
