//! The nearest row of a codebook, without storing the matrix of distances.
//!
//! Needed as long as burn takes four passes over that matrix, three of them on one thread.

use burn::prelude::*;

use crate::f32_matmul;

/// Index of the row of `codebook` nearest to each row of `x` by Euclidean distance; the first of several nearest rows.
/// Without gradient.
///
/// On the CPU a NaN distance is never the minimum (a row with NaN gets index 0); elsewhere it always is. The search is
/// in f32 whatever [precision](crate::set_matmul_precision) is set: its result is an index, which rounding could change.
///
/// # Shapes
/// - `x`: `[rows, width]`
/// - `codebook`: `[codes, width]`
/// - output: `[rows]`
pub fn nearest_code(x: Tensor<2>, codebook: Tensor<2>) -> Tensor<1, Int> {
    let (x, codebook) = (x.without_autodiff(), codebook.without_autodiff());
    cpu_path! {
        use crate::cpu::tensor::{as_slice, contiguous, into_array};
        use crate::dispatch::takes_fast_path;
        let [rows, width] = x.dims();
        if width == codebook.dims()[1] && takes_fast_path(&x) && takes_fast_path(&codebook) {
            let device = x.device();
            let [x, codebook] = [x, codebook].map(|tensor| contiguous(&into_array(tensor)));
            let (x, codebook) = (as_slice(&x), as_slice(&codebook));
            let indices = crate::cpu::nearest_code::nearest_code(x, codebook, width);
            return Tensor::from_data(TensorData::new(indices, [rows]), &device);
        }
    }
    // Squared distances without the square of `x`, which is the same for all codes.
    let norms = codebook.clone().square().sum_dim(1).transpose();
    let scores = norms - f32_matmul(x, codebook.transpose()).mul_scalar(2.0);
    scores.argmin(1).squeeze_dim(1)
}
