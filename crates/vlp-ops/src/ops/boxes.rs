//! Costs and losses of boxes in few kernels on a GPU (DETR, `matcher.py` and `detr.py`).
//!
//! Needed as long as burn takes a kernel for each side of a box, and two more for its gradient.

use burn::prelude::*;

use crate::BoxCost;

/// Costs of every pair of a query and an object, `l1 * L1 - giou * GIoU - gain`. Boxes are center and size. `None` for tensors
/// that are not f32 on a GPU.
///
/// The result has no gradient.
///
/// # Shapes
/// - `predicted`: `[problems, queries, 4]`; `problems` is a multiple of `images`, and problem `i` belongs to image `i % images`
/// - `objects`: `[images, objects, 4]`
/// - `gains`: `[problems, queries, objects]`
/// - output: `[problems, objects, queries]`
pub fn pairwise_box_cost(
    predicted: Tensor<3>,
    objects: Tensor<3>,
    gains: Tensor<3>,
    cost: BoxCost,
) -> Option<Tensor<3>> {
    gpu_path! {
        let weights = [cost.l1, cost.giou];
        return crate::cube::boxes::pairwise_cost(&predicted, &objects, &gains, weights);
    }
    #[allow(unreachable_code, reason = "without a GPU backend alone")]
    {
        let _ = (predicted, objects, gains, cost);
        None
    }
}

/// The L1 distance of each predicted box from its object, and `1 - GIoU`. Boxes are center and size. `None` for tensors that
/// are not f32 on a GPU.
///
/// Only `predicted` gets a gradient.
///
/// # Shapes
/// - `predicted`, `objects`: `[rows, 4]`
/// - output: `[2, rows]`
pub fn box_losses(predicted: Tensor<2>, objects: Tensor<2>) -> Option<Tensor<2>> {
    gpu_path! {
        return crate::custom_grad::boxes::box_losses(&predicted, &objects);
    }
    #[allow(unreachable_code, reason = "without a GPU backend alone")]
    {
        let _ = (predicted, objects);
        None
    }
}
