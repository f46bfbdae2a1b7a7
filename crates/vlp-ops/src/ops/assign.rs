//! One-to-one assignment with the lowest total cost (linear sum assignment), computed on a GPU.
//!
//! Needed as long as burn has no such operation, and the costs would have to be copied to the CPU in the middle of a step.

use burn::prelude::*;

use crate::Assignment;

/// Assigns objects to queries so that the total cost is the lowest: all objects if there are enough queries, otherwise as many
/// as there are queries. Unmatched queries get the index `none`. Returns `None` for costs that are not f32 on a GPU, and for
/// more than 384 queries or objects.
///
/// The costs of padding are not read. Ties are resolved deterministically. The result has no gradient.
///
/// # Shapes
/// - `cost`: `[problems, capacity, queries]`, the costs of an object in a row
/// - `counts`: `[problems]`, the number of objects, which come before the padding
pub fn assign(cost: Tensor<3>, counts: Tensor<1, Int>, none: usize) -> Option<Assignment> {
    gpu_path! {
        let [objects, finite] = crate::cube::assign::assign(&cost, counts, none)?;
        return Some(Assignment {
            objects: objects.into_tensor(),
            finite: finite.into_tensor(),
        });
    }
    #[allow(unreachable_code, reason = "without a GPU backend alone")]
    {
        let _ = (cost, counts, none);
        None
    }
}
