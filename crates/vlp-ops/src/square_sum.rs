//! The pass over gradients that their norm needs.
//!
//! Needed as long as burn squares into a tensor of its own, on one thread, and sums each tensor by itself.

use burn::prelude::*;

/// Values that are joined to be summed at once: 16 MiB.
const JOINED: usize = 1 << 22;
/// Values are summed in rows first, then the rows' sums: in a fixed order, which burn's sum of all is not (it adds atomically),
/// and without a loop over millions of values. The least values of a row, a power of two.
const LEAST: usize = 256;
/// The most, likewise.
const MOST: usize = 4096;

/// Sum of the squares of all values, `[1]`; `None` of no tensor. Without gradient.
///
/// On the CPU each tensor is read where it lies. A GPU is kept busy by few large sums rather than hundreds of small ones, so
/// small tensors are joined there.
pub fn square_sum(tensors: impl IntoIterator<Item = Tensor<1>>) -> Option<Tensor<1>> {
    let mut sums = Sums::default();
    for tensor in tensors {
        #[cfg(feature = "flex")]
        if !tensor.device().is_autodiff() && crate::route::fast(&tensor) {
            sums.add(fast::square_sum(tensor));
            continue;
        }
        if sums.values + tensor.dims()[0] > JOINED {
            sums.join();
        }
        sums.values += tensor.dims()[0];
        sums.waiting.push(tensor);
    }
    sums.join();
    sums.total
}

#[derive(Default)]
struct Sums {
    total: Option<Tensor<1>>,
    waiting: Vec<Tensor<1>>,
    values: usize,
}

impl Sums {
    fn add(&mut self, sum: Tensor<1>) {
        self.total = Some(match self.total.take() {
            Some(total) => total + sum,
            None => sum,
        });
    }

    fn join(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        let count = std::mem::take(&mut self.values);
        if count == 0 {
            return;
        }
        let past = count.next_multiple_of(LEAST) - count;
        if past > 0 {
            let device = waiting[0].device();
            waiting.push(Tensor::zeros([past], (&device, waiting[0].dtype())));
        }
        let joined = match waiting.len() {
            1 => waiting.remove(0),
            _ => Tensor::cat(waiting, 0),
        };
        let count = count + past;
        // The largest power of two that divides it.
        let width = (1 << count.trailing_zeros()).min(MOST);
        let rows = joined.square().reshape([count / width, width]);
        self.add(rows.sum_dim(1).sum_dim(0).reshape([1]));
    }
}

#[cfg(feature = "flex")]
mod fast {
    use burn::prelude::Tensor;
    use rayon::prelude::*;

    use crate::flex::{TASK, primitive, sum, values, wide};

    pub(super) fn square_sum(x: Tensor<1>) -> Tensor<1> {
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
