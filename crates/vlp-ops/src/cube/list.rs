//! Operations on lists of tensors, which burn's fusion treats as one operation.
//!
//! Needed as long as burn's `backend_extension` takes no lists.

use burn::backend::tensor::FloatTensor;
use burn::backend::{BackendTensor, Cube, DispatchTensorKind, TensorMetadata};
use burn::prelude::*;
use burn::tensor::kind::Autodiff;
use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;

use crate::capture::Value;

/// A tensor of the GPU backend, with fusion one that may not be computed yet.
pub(crate) type Primitive = FloatTensor<Cube>;

/// Whether it is a float or int tensor of a GPU, without autodiff.
pub(crate) fn is_on_gpu(value: &Value) -> bool {
    matches!(
        value.kind(),
        DispatchTensorKind::Cube(BackendTensor::Float(_) | BackendTensor::Int(_))
    )
}

/// The tensors as the GPU backend's; an error gives them back if one is not its own, or has autodiff.
pub(crate) fn primitives(values: Vec<Value>) -> Result<Vec<Primitive>, Vec<Value>> {
    if !values.iter().all(is_on_gpu) {
        return Err(values);
    }
    let primitive = |value: Value| match value.into_dispatch().kind {
        DispatchTensorKind::Cube(BackendTensor::Float(tensor) | BackendTensor::Int(tensor)) => {
            Some(tensor)
        }
        _ => None,
    };
    Ok(values.into_iter().filter_map(primitive).collect())
}

/// The tensor as the GPU backend's, without autodiff; `None` if it is not on a GPU, or neither f32 nor i32.
pub(crate) fn primitive<const D: usize, K: Autodiff>(x: &Tensor<D, K>) -> Option<Primitive> {
    if !matches!(x.dtype(), DType::F32 | DType::I32) {
        return None;
    }
    let value = Value::from(x.clone().without_autodiff());
    primitives(vec![value]).ok()?.pop()
}

/// Of `N` results.
pub(crate) fn primitives_of<const N: usize>(values: [Value; N]) -> Option<[Primitive; N]> {
    primitives(values.into()).ok()?.try_into().ok()
}

pub(super) fn value(tensor: Primitive) -> Value {
    // Of any rank: neither conversion looks at it.
    match tensor.dtype().is_float() {
        true => Value::from(Tensor::<1>::from_primitive::<Cube>(tensor)),
        false => Value::from(Tensor::<1, Int>::from_primitive::<Cube>(tensor)),
    }
}

/// Shape and type of an output.
pub(super) type Spec = (Shape, DType);

/// Runs `kernels` on the inputs; those without another owner are passed as tensors that it may write into. It returns
/// tensors of the given specs.
#[cfg(feature = "fusion")]
pub(super) fn run(
    name: &'static str,
    inputs: Vec<Primitive>,
    outputs: Vec<Spec>,
    kernels: impl Fn(Vec<CubeTensor>) -> Vec<CubeTensor> + Send + Sync + 'static,
) -> Vec<Value> {
    use burn::backend::fusion::custom::OperationFn;
    use burn::backend::ir::{CustomOpIr, HandleContainer, OperationIr, TensorIr};
    use burn_cubecl::CubeBackend;

    let Some(first) = inputs.first() else {
        return vec![];
    };
    let client = first.client.clone();
    let inputs: Vec<TensorIr> = inputs.into_iter().map(|tensor| tensor.into_ir()).collect();
    let output =
        |(shape, dtype): Spec| TensorIr::uninit(client.create_empty_handle(), shape, dtype);
    let outputs: Vec<TensorIr> = outputs.into_iter().map(output).collect();
    let operation = OperationIr::Custom(CustomOpIr::new(name, &inputs, &outputs));
    let run = move |handles: &mut HandleContainer<_>| {
        let tensors = inputs.iter();
        let tensors = tensors.map(|input| handles.get_float_tensor::<CubeBackend>(input));
        let results = kernels(tensors.collect());
        for (output, result) in outputs.iter().zip(results) {
            handles.register_float_tensor::<CubeBackend>(&output.id, result);
        }
        Ok(())
    };
    let stream = burn::backend::StreamId::current();
    let results = client.register(stream, operation, OperationFn(run));
    results.into_iter().map(value).collect()
}

#[cfg(not(feature = "fusion"))]
pub(super) fn run(
    _name: &'static str,
    inputs: Vec<Primitive>,
    _outputs: Vec<Spec>,
    kernels: impl Fn(Vec<CubeTensor>) -> Vec<CubeTensor> + Send + Sync + 'static,
) -> Vec<Value> {
    if inputs.is_empty() {
        return vec![];
    }
    kernels(inputs).into_iter().map(value).collect()
}
