//! Memory layout of tensors, and lists of tensors in the bindings of a kernel.

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::std::tensor::copy_into;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

use crate::in_place::InPlace;

/// Units (threads) of a cube (thread block).
pub(super) const UNITS: u32 = 256;
/// Number of values of a cube; with more, another cube is started.
const VALUES_PER_CUBE: usize = 8 * UNITS as usize;
/// Cubes of one tensor: enough for every multiprocessor of a large GPU.
const MAX_TENSOR_CUBES: usize = 256;
/// Tensors of one launch: a kernel has code for each, and CUDA passes 4 KiB of arguments.
const MAX_TENSORS: usize = 64;
/// Bindings other than those of lists: constants, the values of the step, and cubecl's own.
const OTHER_BINDINGS: usize = 4;

/// Cubes that work on a tensor of this many values.
pub(super) fn cubes(values: usize) -> usize {
    values.div_ceil(VALUES_PER_CUBE).clamp(1, MAX_TENSOR_CUBES)
}

/// Tensors of one launch, if each has this many bindings.
pub(super) fn tensors_per_launch(client: &Client, bindings: usize) -> usize {
    let limit = client.properties().hardware.max_bindings as usize;
    (limit.saturating_sub(OTHER_BINDINGS) / bindings).clamp(1, MAX_TENSORS)
}

/// Equally many cubes for each tensor of a launch: as many as its largest needs.
pub(super) fn cube_count(values: impl Iterator<Item = usize> + Clone) -> CubeCount {
    let largest = values.clone().map(cubes).max().unwrap_or(1);
    CubeCount::Static(largest as u32, values.count() as u32, 1)
}

/// At least `count` cubes, along two axes because one of them has at most [`MAX_CUBES`] on every device. The excess is less
/// than the second axis is long.
pub(super) fn cube_grid(count: usize) -> CubeCount {
    let columns = count.div_ceil(super::MAX_CUBES).max(1);
    CubeCount::Static(count.div_ceil(columns) as u32, columns as u32, 1)
}

/// The cube's number in a [`cube_grid`].
#[cube]
pub(super) fn cube_number() -> u32 {
    CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X
}

pub(super) fn element_count(tensor: &CubeTensor) -> usize {
    tensor.shape().num_elements()
}

/// A new contiguous tensor.
pub(super) fn empty_like(tensor: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    let (client, device) = (tensor.client.clone(), tensor.device.clone());
    empty_device_contiguous_dtype(client, device, shape, dtype)
}

/// A contiguous tensor that may be written into: the tensor itself, unless it has another owner and is not to be updated
/// in place.
pub(super) fn writable(tensor: CubeTensor, in_place: Option<&InPlace>) -> CubeTensor {
    if !tensor.is_contiguous() {
        if let Some(in_place) = in_place {
            in_place.set_moved();
        }
        return into_contiguous(tensor);
    }
    if in_place.is_some() || tensor.can_mut() {
        return tensor;
    }
    let copy = empty_like(&tensor, tensor.shape(), tensor.dtype);
    // As words, since not every GPU has small types.
    let words = |tensor: &CubeTensor| {
        let bytes = element_count(tensor) * tensor.dtype.size();
        let (client, device) = (tensor.client.clone(), tensor.device.clone());
        let (count, handle) = (Shape::from([bytes.div_ceil(4)]), tensor.handle.clone());
        CubeTensor::new_contiguous(client, device, count, handle, DType::U32).binding()
    };
    let dtype = burn::backend::cubecl::dtype_to_storage_type(DType::U32);
    copy_into(&tensor.client, words(&tensor), words(&copy), dtype);
    copy
}

/// Values of a tensor that is read. On CUDA the rows of a matrix may have gaps between them.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Rows {
    pub(super) values: Box<[f32]>,
    /// Values of a row.
    columns: u32,
    /// Distance of the starts of two rows.
    pitch: u32,
}

#[cube]
impl Rows {
    /// Value number `index` of the tensor.
    pub(super) fn read(&self, index: u32) -> f32 {
        let row = index / self.columns;
        self.values[(row * self.pitch + index - row * self.columns) as usize]
    }
}

/// The argument for a tensor, copied only if it is not made of rows.
pub(super) fn rows(tensor: &CubeTensor) -> RowsLaunch {
    let (tensor, columns, pitch) = match row_layout(tensor.meta.shape(), tensor.meta.strides()) {
        Some((columns, pitch)) => (tensor.clone(), columns, pitch),
        None => {
            let tensor = into_contiguous(tensor.clone());
            let count = element_count(&tensor);
            (tensor, count, count)
        }
    };
    let count = element_count(&tensor);
    let length = (count / columns.max(1)).saturating_sub(1) * pitch + columns;
    RowsLaunch::new(buffer(&tensor, length), columns as u32, pitch as u32)
}

/// The argument for the first `length` elements of a tensor's memory.
pub(super) fn buffer(tensor: &CubeTensor, length: usize) -> BufferArg {
    // SAFETY: callers give the number of elements that the tensor's layout spans.
    unsafe { BufferArg::from_raw_parts(tensor.handle.clone(), length) }
}

/// Length of a row and distance of rows; all values are one row where there is no gap. `None` for other layouts.
fn row_layout(shape: &[usize], strides: &[usize]) -> Option<(usize, usize)> {
    let axes: Vec<(usize, usize)> = shape.iter().copied().zip(strides.iter().copied()).collect();
    let axes: Vec<(usize, usize)> = axes
        .into_iter()
        .filter(|(length, _)| *length != 1)
        .collect();
    let count = axes.iter().map(|(length, _)| length).product();
    let Some(((columns, 1), outer)) = axes.split_last().map(|(last, outer)| (*last, outer)) else {
        return axes.is_empty().then_some((1, 1));
    };
    let Some((_, pitch)) = outer.last().copied() else {
        return Some((columns, columns));
    };
    let is_rows = outer
        .windows(2)
        .all(|pair| pair[0].1 == pair[1].0 * pair[1].1);
    match is_rows && pitch >= columns {
        true if pitch == columns => Some((count, count)),
        true => Some((columns, pitch)),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_from_other_layouts() {
        for (shape, strides, expected) in [
            (vec![], vec![], Some((1, 1))),
            (vec![7], vec![1], Some((7, 7))),
            (vec![7], vec![2], None),
            (vec![2, 3, 4], vec![12, 4, 1], Some((24, 24))),
            (vec![2, 3, 4], vec![24, 8, 1], Some((4, 8))),
            (vec![2, 1, 4], vec![8, 99, 1], Some((4, 8))),
            (vec![3, 2], vec![1, 3], None),
            (vec![2, 3, 4], vec![4, 8, 1], None),
            (vec![2, 4], vec![0, 1], None),
        ] {
            assert_eq!(
                row_layout(&shape, &strides),
                expected,
                "{shape:?} {strides:?}"
            );
        }
    }
}
