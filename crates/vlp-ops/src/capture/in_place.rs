//! Copies between tensors of a GPU whose buffers must not change: a recorded graph reads and writes the buffers that it was
//! recorded with.
//!
//! Needed as long as burn has no copy into a given tensor: its own operations reuse a buffer only if it has no other owner.

use burn::backend::tensor::{BoolTensor, FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, TensorMetadata, backend_extension};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::std::tensor::copy_into;
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::tensor::CubeTensor;

use super::value::Value;

#[backend_extension(Cube, Fusion: cfg(feature = "fusion"))]
pub(crate) trait InPlaceBackend: Backend {
    #[fusion(dtype = target, shape = target)]
    fn assign_float(target: FloatTensor<Self>, source: FloatTensor<Self>) -> FloatTensor<Self>;

    #[fusion(dtype = target, shape = target)]
    fn assign_int(target: IntTensor<Self>, source: IntTensor<Self>) -> IntTensor<Self>;

    #[fusion(dtype = target, shape = target)]
    fn assign_bool(target: BoolTensor<Self>, source: BoolTensor<Self>) -> BoolTensor<Self>;

    #[fusion(dtype = source, shape = source)]
    fn copy_float(source: FloatTensor<Self>) -> FloatTensor<Self>;

    #[fusion(dtype = source, shape = source)]
    fn copy_int(source: IntTensor<Self>) -> IntTensor<Self>;

    #[fusion(dtype = source, shape = source)]
    fn copy_bool(source: BoolTensor<Self>) -> BoolTensor<Self>;
}

/// Copies `source` into the buffer of `target`. The result is that buffer; the copy takes place even if the result is dropped.
///
/// Both must have the same type and shape.
pub(super) fn assign(target: &Value, source: &Value) -> Value {
    let (dtype, _) = source.signature();
    let (target, source) = (target.dispatch(), source.dispatch());
    Value::from(match dtype {
        dtype if dtype.is_float() => Dispatch::assign_float(target, source),
        dtype if dtype.is_bool() => Dispatch::assign_bool(target, source),
        _ => Dispatch::assign_int(target, source),
    })
}

/// A tensor that shares its buffer with no other.
pub(super) fn copy(source: &Value) -> Value {
    let (dtype, _) = source.signature();
    let source = source.dispatch();
    Value::from(match dtype {
        dtype if dtype.is_float() => Dispatch::copy_float(source),
        dtype if dtype.is_bool() => Dispatch::copy_bool(source),
        _ => Dispatch::copy_int(source),
    })
}

fn assign_cube(target: CubeTensor, source: CubeTensor) -> CubeTensor {
    let client = source.client.clone();
    let dtype = burn::backend::cubecl::dtype_to_storage_type(source.dtype);
    if source.shape().num_elements() > 0 {
        copy_into(&client, source.binding(), target.clone().binding(), dtype);
    }
    target
}

fn copy_cube(source: CubeTensor) -> CubeTensor {
    let (client, device) = (source.client.clone(), source.device.clone());
    let target = empty_device_dtype(client, device, source.shape(), source.dtype);
    assign_cube(target, source)
}

impl InPlaceBackend for CubeBackend {
    fn assign_float(target: CubeTensor, source: CubeTensor) -> CubeTensor {
        assign_cube(target, source)
    }

    fn assign_int(target: CubeTensor, source: CubeTensor) -> CubeTensor {
        assign_cube(target, source)
    }

    fn assign_bool(target: CubeTensor, source: CubeTensor) -> CubeTensor {
        assign_cube(target, source)
    }

    fn copy_float(source: CubeTensor) -> CubeTensor {
        copy_cube(source)
    }

    fn copy_int(source: CubeTensor) -> CubeTensor {
        copy_cube(source)
    }

    fn copy_bool(source: CubeTensor) -> CubeTensor {
        copy_cube(source)
    }
}
