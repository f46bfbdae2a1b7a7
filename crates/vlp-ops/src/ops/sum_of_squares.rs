//! The pass over gradients that their norm needs.
//!
//! Needed as long as burn squares into a new tensor on one thread, and sums each tensor by itself.

use burn::prelude::*;

/// Values that are concatenated to be summed at once: 16 MiB.
const MAX_CONCATENATED: usize = 1 << 22;
/// Tensors that one fused kernel concatenates: burn copies more of them one by one.
const MAX_FUSED: usize = 16;
/// Values are summed in rows first, then the sums of the rows: in a fixed order, which burn's sum of all values has not (it
/// adds atomically), and without a loop over millions of values. Bounds for the length of a row, powers of two.
const MIN_ROW: usize = 256;
const MAX_ROW: usize = 4096;

/// Sum of the squares of all values, without gradient; `None` without any tensor.
///
/// On the CPU each tensor is read in place. On a GPU small tensors are concatenated: few large sums keep it busy, hundreds
/// of small ones do not.
///
/// # Shapes
/// - each tensor: any length
/// - output: `[1]`
pub fn sum_of_squares(tensors: impl IntoIterator<Item = Tensor<1>>) -> Option<Tensor<1>> {
    let mut sums = Sums::default();
    for tensor in tensors {
        cpu_path! {
            use crate::cpu::tensor::{as_slice, contiguous, into_array};
            if !tensor.device().is_autodiff() && crate::dispatch::takes_fast_path(&tensor) {
                let device = tensor.device();
                let values = contiguous(&into_array(tensor));
                let sum = crate::cpu::sums::sum_of_squares(as_slice(&values));
                sums.add(Tensor::from_floats([sum as f32], &device));
                continue;
            }
        }
        if sums.pending_values + tensor.dims()[0] > MAX_CONCATENATED {
            sums.add_pending();
        }
        sums.pending_values += tensor.dims()[0];
        sums.pending.push(tensor);
    }
    sums.add_pending();
    sums.total
}

#[derive(Default)]
struct Sums {
    total: Option<Tensor<1>>,
    pending: Vec<Tensor<1>>,
    pending_values: usize,
}

impl Sums {
    fn add(&mut self, sum: Tensor<1>) {
        self.total = Some(match self.total.take() {
            Some(total) => total + sum,
            None => sum,
        });
    }

    fn add_pending(&mut self) {
        let mut pending = std::mem::take(&mut self.pending);
        let count = std::mem::take(&mut self.pending_values);
        if count == 0 {
            return;
        }
        let padding = count.next_multiple_of(MIN_ROW) - count;
        if padding > 0 {
            let device = pending[0].device();
            pending.push(Tensor::zeros([padding], (&device, pending[0].dtype())));
        }
        while pending.len() > 1 {
            let parts = pending.chunks(MAX_FUSED);
            pending = parts.map(|part| Tensor::cat(part.to_vec(), 0)).collect();
        }
        let values = pending.remove(0);
        let count = count + padding;
        // The largest power of two that divides it.
        let width = (1 << count.trailing_zeros()).min(MAX_ROW);
        let rows = values.square().reshape([count / width, width]);
        self.add(rows.sum_dim(1).sum_dim(0).reshape([1]));
    }
}
