//! Stubs for processors without AMX: `plan` never chooses it there.

use crate::cpu::conv::shape::ConvShape;
use crate::cpu::conv::weight_view::WeightView;
use crate::cpu::gemm::epilogue::Epilogue;

pub(in crate::cpu::conv) fn convolve(
    _: &ConvShape,
    _: &[f32],
    _: WeightView<'_>,
    _: Option<&Epilogue<'_>>,
) -> Vec<f32> {
    unreachable!("AMX is never in use")
}

pub(in crate::cpu::conv) fn weight_grad(_: &ConvShape, _: &[f32], _: &[f32]) -> Vec<f32> {
    unreachable!("AMX is never in use")
}
