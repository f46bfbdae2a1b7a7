//! The pass over gradients that their norm needs.
//!
//! Needed as long as burn squares into a tensor of its own, on one thread.

use burn::prelude::*;

/// Sum of squares, `[1]`. Without gradient.
pub fn square_sum<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    #[cfg(feature = "flex")]
    if !x.device().is_autodiff() && crate::route::fast(&x) {
        return fast::square_sum(x);
    }
    x.square().sum()
}

#[cfg(feature = "flex")]
mod fast {
    use burn::prelude::Tensor;
    use rayon::prelude::*;

    use crate::flex::{TASK, primitive, sum, values, wide};

    pub(super) fn square_sum<const D: usize>(x: Tensor<D>) -> Tensor<1> {
        let device = x.device();
        let x = crate::flex::dense(&primitive(x));
        let parts: Vec<f64> = values(&x)
            .par_chunks(TASK)
            .map(|part| {
                f64::from(wide(
                    #[inline(always)]
                    || sum(part, |x| x * x),
                ))
            })
            .collect();
        // Parts in their order, whichever thread was first; joined in f64, since there may be thousands.
        Tensor::from_floats([parts.iter().sum::<f64>() as f32], &device)
    }
}
