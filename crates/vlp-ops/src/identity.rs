//! Identity of tensors.

#[cfg(any(feature = "flex", feature = "gpu"))]
use burn::backend::BackendTensor;
use burn::backend::DispatchTensorKind;
use burn::prelude::*;

/// Whether two tensors share their memory, without reading their values. Equal values elsewhere in memory are another
/// tensor; so may be, on a GPU, a handle to the same tensor from another thread.
///
/// A value computed from a tensor stays valid while that tensor is kept and is still the same: nothing writes into a tensor that
/// has another owner, except recorded graphs and updates [in place](crate::InPlace). Those write the weights and optimizer states
/// of a [`StepGraph`](crate::capture::StepGraph) and the states of a [`Captured`](crate::capture::Captured) function, so nothing
/// that is computed from them may be kept; frozen weights are not among them, and modules to evaluate are copies.
pub fn is_same_tensor<const D: usize>(a: &Tensor<D>, b: &Tensor<D>) -> bool {
    let kind = |tensor: &Tensor<D>| tensor.clone().without_autodiff().into_dispatch().kind;
    is_same_kind(&kind(a), &kind(b))
}

/// As [`is_same_tensor`], of float tensors without autodiff.
pub(crate) fn is_same_kind(a: &DispatchTensorKind, b: &DispatchTensorKind) -> bool {
    match (a, b) {
        #[cfg(feature = "flex")]
        (
            DispatchTensorKind::Flex(BackendTensor::Float(a)),
            DispatchTensorKind::Flex(BackendTensor::Float(b)),
        ) => a.bytes().as_ptr() == b.bytes().as_ptr() && a.layout() == b.layout(),
        #[cfg(all(feature = "gpu", feature = "fusion"))]
        (
            DispatchTensorKind::Cube(BackendTensor::Float(a)),
            DispatchTensorKind::Cube(BackendTensor::Float(b)),
        ) => a.id == b.id,
        #[cfg(all(feature = "gpu", not(feature = "fusion")))]
        (
            DispatchTensorKind::Cube(BackendTensor::Float(a)),
            DispatchTensorKind::Cube(BackendTensor::Float(b)),
        ) => {
            let is_same_buffer = a.handle.memory.descriptor().id == b.handle.memory.descriptor().id;
            let is_same_offset = a.handle.offset_start == b.handle.offset_start;
            is_same_buffer && is_same_offset && a.meta == b.meta
        }
        _ => false,
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn clones_are_the_same_and_copies_are_not() {
        let device = Device::flex().autodiff();
        let a = Tensor::<1>::from_floats([1.0, 2.0], &device);
        assert!(is_same_tensor(&a, &a.clone()));
        assert!(is_same_tensor(&a, &a.clone().inner()));
        assert!(!is_same_tensor(&a, &(a.clone() * 1.0)));
        assert!(!is_same_tensor(
            &a,
            &Tensor::from_floats([1.0, 2.0], &device)
        ));
        assert!(!is_same_tensor(&a, &a.clone().flip([0])));
        assert!(!is_same_tensor(&a, &a.clone().slice(0..1)));
    }
}
