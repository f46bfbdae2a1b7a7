//! The nearest row of a table, without storing the matrix of distances.
//!
//! Needed as long as burn takes four passes over that matrix, three of them on one thread.

use burn::prelude::*;

/// Index of the row of `table` nearest to each row of `x` by Euclidean distance; the first of several nearest rows. Without
/// gradient.
///
/// On the CPU a NaN distance is never the least (a row with NaN gets index 0); elsewhere it always is. The search stays in
/// f32 where matmuls are in bf16: its result is an index, which rounding would change.
///
/// # Shapes
/// - `x`: `[rows, width]`
/// - `table`: `[codes, width]`
/// - output: `[rows]`
pub fn nearest_code(x: Tensor<2>, table: Tensor<2>) -> Tensor<1, Int> {
    let (x, table) = (x.without_autodiff(), table.without_autodiff());
    cpu_path! {
        use crate::cpu::tensor::{as_slice, contiguous, into_array};
        use crate::dispatch::takes_fast_path;
        let [rows, width] = x.dims();
        if width == table.dims()[1] && takes_fast_path(&x) && takes_fast_path(&table) {
            let device = x.device();
            let [x, table] = [x, table].map(|tensor| contiguous(&into_array(tensor)));
            let (x, table) = (as_slice(&x), as_slice(&table));
            let indices = crate::cpu::nearest_code::nearest_code(x, table, width);
            return Tensor::from_data(TensorData::new(indices, [rows]), &device);
        }
    }
    // Squared distances without the square of `x`, which is the same for all codes.
    let norms = table.clone().square().sum_dim(1).transpose();
    let scores = norms - x.matmul(table.transpose()).mul_scalar(2.0);
    scores.argmin(1).squeeze_dim(1)
}
