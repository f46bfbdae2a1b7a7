//! Fixed 2-D sine positions (DETR, `position_encoding.py`).

use std::f32::consts::TAU;

use burn::prelude::*;
use vlp_ops::constant_floats;

/// Sine and cosine positions of a feature map.
///
/// Rows and columns are counted over grid features that are not padding and normalized to `0..=2 pi`. The first half of the
/// channels encodes the row, the second half the column, sine and cosine interleaved, with temperature 10,000.
///
/// # Panics
/// If `dim` is not a multiple of 4.
///
/// # Shapes
/// - `pad_mask`: `[batch, h, w]`, true = padding
/// - output: `[batch, h, w, dim]`
pub fn sine_positions(pad_mask: Tensor<3, Bool>, dim: usize) -> Tensor<4> {
    assert!(dim.is_multiple_of(4), "dim = {dim} is not a multiple of 4");
    let device = pad_mask.device();
    let [batch, h, w] = pad_mask.dims();
    let half = dim / 2;
    let valid = pad_mask.bool_not().float();
    let y = valid.clone().cumsum(1);
    let x = valid.cumsum(2);
    let y_end = y.clone().slice([0..batch, h - 1..h, 0..w]);
    let x_end = x.clone().slice([0..batch, 0..h, w - 1..w]);
    let y = y / (y_end + 1e-6) * TAU;
    let x = x / (x_end + 1e-6) * TAU;
    let periods: Vec<f32> = (0..half / 2)
        .map(|i| 10000f64.powf(2.0 * i as f64 / half as f64) as f32)
        .collect();
    let periods = constant_floats(&periods, &device).reshape([1, 1, 1, half / 2]);
    let encode = |angle: Tensor<3>| {
        let angle = angle.unsqueeze_dim::<4>(3) / periods.clone();
        let pairs: Tensor<5> = Tensor::stack(vec![angle.clone().sin(), angle.cos()], 4);
        pairs.reshape([batch, h, w, half])
    };
    Tensor::cat(vec![encode(y), encode(x)], 3)
}
