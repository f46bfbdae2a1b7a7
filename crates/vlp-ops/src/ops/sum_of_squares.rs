//! The sum of squares of all gradients, for their norm.
//!
//! Needed as long as burn squares into a new tensor on one thread, and sums one tensor at a time.

use burn::prelude::*;

use crate::capture::Value;

/// Sum of the squares of all values of all tensors, `[1]`, without gradient; `None` without any tensor.
///
/// On the CPU each tensor is read in place, on a GPU all of them by a few kernels. Sums are added in an order that
/// depends on shapes alone.
///
/// # Shapes
/// - each tensor: any
/// - output: `[1]`
pub fn sum_of_squares<T: Into<Value>>(tensors: impl IntoIterator<Item = T>) -> Option<Tensor<1>> {
    let tensors: Vec<Value> = tensors.into_iter().map(Into::into).collect();
    gpu_path! {
        let tensors = match tensors.iter().all(Value::is_f32) {
            true => match crate::cube::primitives(tensors) {
                Ok(tensors) => {
                    let sum = crate::cube::sum_of_squares::sum_of_squares(tensors);
                    return sum.map(Value::into_tensor);
                }
                Err(tensors) => tensors,
            },
            false => tensors,
        };
    }
    let sums = tensors.into_iter().map(sum_of_one);
    sums.reduce(|total, sum| total + sum)
}

fn sum_of_one(tensor: Value) -> Tensor<1> {
    // The rank is arbitrary: neither path depends on it.
    let tensor = Tensor::<1>::from_dispatch(tensor.into_dispatch());
    cpu_path! {
        use crate::cpu::tensor::{as_slice, contiguous, into_array};
        if !tensor.device().is_autodiff() && crate::dispatch::takes_fast_path(&tensor) {
            let device = tensor.device();
            let values = contiguous(&into_array(tensor));
            let sum = crate::cpu::sums::sum_of_squares(as_slice(&values));
            return Tensor::from_floats([sum as f32], &device);
        }
    }
    tensor.square().sum()
}
