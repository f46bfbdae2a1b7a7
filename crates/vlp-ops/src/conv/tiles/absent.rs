//! No tiles: other ways have to be gone.

use super::Weight;
use crate::conv::sizes::Sizes;
use crate::finish::Finish;

pub(in crate::conv) fn pays(_: &Sizes) -> bool {
    false
}

pub(in crate::conv) fn convolve(
    _: &Sizes,
    _: &[f32],
    _: Weight<'_>,
    _: Option<&Finish<'_>>,
) -> Option<Vec<f32>> {
    None
}

pub(in crate::conv) fn to_weight(_: &Sizes, _: &[f32], _: &[f32]) -> Option<Vec<f32>> {
    None
}
