//! Costs and losses of boxes, which are center and size: of all pairs of queries and objects, and of pairs row by row, with a
//! gradient.
//!
//! Needed as long as burn takes a kernel for each side of a box, and two more for its gradient.

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::tensor::CubeTensor;

use super::layout::{Rows, UNITS, buffer, cubes, element_count, empty_like, rows};
use super::list::{Primitive, primitive, run};
use crate::capture::Value;

/// See [`pairwise_box_cost`](crate::pairwise_box_cost).
pub(crate) fn pairwise_cost(
    predicted: &Tensor<3>,
    objects: &Tensor<3>,
    gains: &Tensor<3>,
    [l1, giou]: [f32; 2],
) -> Option<Tensor<3>> {
    let ([problems, queries, _], [images, objects_per_image, _]) =
        (predicted.dims(), objects.dims());
    let fits = predicted.dims()[2] == 4
        && objects.dims()[2] == 4
        && gains.dims() == [problems, queries, objects_per_image]
        && images > 0
        && problems.is_multiple_of(images);
    let count = problems * queries * objects_per_image;
    if !fits || count == 0 || u32::try_from(count).is_err() {
        return None;
    }
    let shape = Shape::from([problems, objects_per_image, queries]);
    let inputs = vec![
        primitive(predicted)?,
        primitive(objects)?,
        primitive(gains)?,
    ];
    let outputs = vec![(shape.clone(), DType::F32)];
    let results = run("vlp_box_cost", inputs, outputs, move |inputs| {
        let [predicted, objects, gains] = &inputs[..] else {
            return vec![];
        };
        let output = empty_like(predicted, shape.clone(), DType::F32);
        // SAFETY: units stay below `count`, the number of pairs, and so below the lengths of the tensors.
        unsafe {
            cost_kernel::launch_unchecked(
                &predicted.client,
                CubeCount::Static(cubes(count) as u32, 1, 1),
                CubeDim::new_1d(UNITS),
                rows(predicted),
                rows(objects),
                rows(gains),
                buffer(&output, count),
                count as u32,
                images as u32,
                objects_per_image as u32,
                queries as u32,
                l1,
                giou,
            );
        }
        vec![output]
    });
    Some(results.into_iter().next()?.into_tensor())
}

/// Of `[predicted, objects]`, `[rows, 4]` each, the L1 distances and `1 - GIoU`, `[2, rows]`.
pub(crate) fn box_losses(inputs: [Primitive; 2]) -> Option<Value> {
    let count = inputs[0].shape().num_elements() / 4;
    let outputs = vec![(Shape::from([2, count]), DType::F32)];
    let results = run("vlp_box_losses", inputs.into(), outputs, move |inputs| {
        let [predicted, objects] = &inputs[..] else {
            return vec![];
        };
        let output = empty_like(predicted, Shape::from([2, count]), DType::F32);
        // SAFETY: units stay below `count`, the number of rows.
        unsafe {
            losses_kernel::launch_unchecked(
                &predicted.client,
                CubeCount::Static(cubes(count) as u32, 1, 1),
                CubeDim::new_1d(UNITS),
                rows(predicted),
                rows(objects),
                buffer(&output, 2 * count),
                count as u32,
            );
        }
        vec![output]
    });
    results.into_iter().next()
}

/// The gradient of `predicted` from that of [`box_losses`].
pub(crate) fn box_losses_backward(
    grad: Primitive,
    [predicted, objects]: [Primitive; 2],
) -> Option<Value> {
    let outputs = vec![(predicted.shape(), DType::F32)];
    let inputs = vec![grad, predicted, objects];
    let results = run(
        "vlp_box_losses_backward",
        inputs,
        outputs,
        |inputs| match &inputs[..] {
            [grad, predicted, objects] => vec![launch_backward(grad, predicted, objects)],
            _ => vec![],
        },
    );
    results.into_iter().next()
}

fn launch_backward(grad: &CubeTensor, predicted: &CubeTensor, objects: &CubeTensor) -> CubeTensor {
    let output = empty_like(predicted, predicted.shape(), DType::F32);
    let count = element_count(predicted) / 4;
    // SAFETY: units stay below `count`, the number of rows.
    unsafe {
        grad_kernel::launch_unchecked(
            &predicted.client,
            CubeCount::Static(cubes(count) as u32, 1, 1),
            CubeDim::new_1d(UNITS),
            rows(grad),
            rows(predicted),
            rows(objects),
            buffer(&output, 4 * count),
            count as u32,
        );
    }
    output
}

/// An axis of a box: its center and size, and the sides.
#[derive(CubeType)]
struct Span {
    center: f32,
    size: f32,
    low: f32,
    high: f32,
}

#[cube]
fn span(boxes: &Rows, row: u32, #[comptime] axis: u32) -> Span {
    let center = boxes.read(4 * row + axis);
    let size = boxes.read(4 * row + axis + 2);
    Span {
        center,
        size,
        low: center - 0.5 * size,
        high: center + 0.5 * size,
    }
}

/// Lengths of the overlap and of the hull of two spans, not below 0.
#[derive(CubeType)]
struct Joint {
    inter: f32,
    hull: f32,
}

#[cube]
fn joint(a: &Span, b: &Span) -> Joint {
    let mut inter = min(a.high, b.high) - max(a.low, b.low);
    if inter < 0.0 {
        inter = 0.0f32;
    }
    let mut hull = max(a.high, b.high) - min(a.low, b.low);
    if hull < 0.0 {
        hull = 0.0f32;
    }
    Joint { inter, hull }
}

#[cube]
fn generalized_iou(x: &Joint, y: &Joint, areas: f32) -> f32 {
    let inter = x.inter * y.inter;
    let hull = x.hull * y.hull;
    let union = areas - inter;
    inter / union - (hull - union) / hull
}

/// L1 distance and generalized IoU of two boxes.
#[cube]
fn compare(predicted: &Rows, row: u32, objects: &Rows, object: u32) -> (f32, f32) {
    let px = span(predicted, row, 0u32);
    let py = span(predicted, row, 1u32);
    let ox = span(objects, object, 0u32);
    let oy = span(objects, object, 1u32);
    let distance = (px.center - ox.center).abs()
        + (py.center - oy.center).abs()
        + (px.size - ox.size).abs()
        + (py.size - oy.size).abs();
    let areas = area(&px, &py) + area(&ox, &oy);
    let giou = generalized_iou(&joint(&px, &ox), &joint(&py, &oy), areas);
    (distance, giou)
}

#[cube]
fn area(x: &Span, y: &Span) -> f32 {
    (x.high - x.low) * (y.high - y.low)
}

#[cube(launch_unchecked)]
fn cost_kernel(
    predicted: Rows,
    objects: Rows,
    gains: Rows,
    output: &mut [f32],
    count: u32,
    images: u32,
    objects_per_image: u32,
    queries: u32,
    l1: f32,
    giou: f32,
) {
    let mut index = CUBE_POS_X * UNITS + UNIT_POS;
    while index < count {
        let query = index % queries;
        let pair = index / queries;
        let object = pair % objects_per_image;
        let problem = pair / objects_per_image;
        let row = problem * queries + query;
        let object_row = problem % images * objects_per_image + object;
        let (distance, overlap) = compare(&predicted, row, &objects, object_row);
        let gain = gains.read(row * objects_per_image + object);
        output[index as usize] = l1 * distance - gain - giou * overlap;
        index += CUBE_COUNT_X * UNITS;
    }
}

#[cube(launch_unchecked)]
fn losses_kernel(predicted: Rows, objects: Rows, output: &mut [f32], count: u32) {
    let mut row = CUBE_POS_X * UNITS + UNIT_POS;
    while row < count {
        let (distance, overlap) = compare(&predicted, row, &objects, row);
        output[row as usize] = distance;
        output[(count + row) as usize] = 1.0 - overlap;
        row += CUBE_COUNT_X * UNITS;
    }
}

#[cube(launch_unchecked)]
fn grad_kernel(grad: Rows, predicted: Rows, objects: Rows, output: &mut [f32], count: u32) {
    let mut row = CUBE_POS_X * UNITS + UNIT_POS;
    while row < count {
        let grad_distance = grad.read(row);
        // The loss is 1 minus it.
        let grad_giou = -grad.read(count + row);
        let px = span(&predicted, row, 0u32);
        let py = span(&predicted, row, 1u32);
        let ox = span(&objects, row, 0u32);
        let oy = span(&objects, row, 1u32);
        let x = joint(&px, &ox);
        let y = joint(&py, &oy);
        let inter = x.inter * y.inter;
        let hull = x.hull * y.hull;
        let union = area(&px, &py) + area(&ox, &oy) - inter;
        let by_union = 1.0 / hull - inter / (union * union);
        let by_inter = 1.0 / union - by_union;
        let by_hull = -union / (hull * hull);
        let (cx, w) = grad_axis(&px, &ox, &x, &y, &py, by_inter, by_union, by_hull);
        let (cy, h) = grad_axis(&py, &oy, &y, &x, &px, by_inter, by_union, by_hull);
        let at = (4 * row) as usize;
        output[at] = grad_giou * cx + grad_distance * sign(px.center - ox.center);
        output[at + 1] = grad_giou * cy + grad_distance * sign(py.center - oy.center);
        output[at + 2] = grad_giou * w + grad_distance * sign(px.size - ox.size);
        output[at + 3] = grad_giou * h + grad_distance * sign(py.size - oy.size);
        row += CUBE_COUNT_X * UNITS;
    }
}

/// Derivatives of the generalized IoU by center and size on one axis, from those by the areas; `other` is the joint of the
/// other axis, `across` the predicted span there.
#[cube]
fn grad_axis(
    predicted: &Span,
    object: &Span,
    this: &Joint,
    other: &Joint,
    across: &Span,
    by_inter: f32,
    by_union: f32,
    by_hull: f32,
) -> (f32, f32) {
    let length = across.high - across.low;
    let mut high = by_union * length;
    let mut low = -by_union * length;
    if this.inter > 0.0 {
        if predicted.high < object.high {
            high += by_inter * other.inter;
        }
        if predicted.low > object.low {
            low -= by_inter * other.inter;
        }
    }
    if predicted.high > object.high {
        high += by_hull * other.hull;
    }
    if predicted.low < object.low {
        low -= by_hull * other.hull;
    }
    (low + high, 0.5 * (high - low))
}

#[cube]
fn sign(value: f32) -> f32 {
    let mut sign = 0.0f32;
    if value > 0.0 {
        sign = 1.0f32;
    }
    if value < 0.0 {
        sign = -1.0f32;
    }
    sign
}
