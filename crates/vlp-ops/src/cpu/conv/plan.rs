//! Choice of the algorithm of a convolution.

use super::algorithm::{Algorithm, Pass};
use super::exclusion::Exclusion;
use super::shape::ConvShape;
use super::strided_input_grad;
use super::{amx, direct, winograd};
use crate::{MatmulPrecision, SimdLevel};

/// The algorithms and instructions that a plan may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Available {
    pub(super) simd: SimdLevel,
    /// Whether AMX multiplies matrices in bf16.
    pub(super) amx: bool,
    /// An algorithm that is not used, for measurements.
    pub(super) excluded: Option<Exclusion>,
}

impl Available {
    /// The instructions in use.
    pub(super) fn current() -> Self {
        Self {
            simd: crate::simd_level(),
            amx: crate::cpu::bf16::amx_in_use(),
            excluded: Exclusion::current(),
        }
    }
}

/// Chooses the algorithm for a pass; nothing else does.
///
/// In f32 the choice does not depend on the instruction set. Without AVX-512 it does not depend on the precision either:
/// `set_matmul_precision` refuses bf16 there.
pub(super) fn plan(
    shape: &ConvShape,
    pass: Pass,
    precision: MatmulPrecision,
    available: Available,
) -> Algorithm {
    let chooser = Chooser::new(pass, precision, available);
    match pass {
        Pass::Inference | Pass::Training => chooser.forward(shape),
        Pass::InputGrad => chooser.input_grad(shape),
        Pass::WeightGrad => chooser.weight_grad(shape),
    }
}

/// Chooses the algorithm for one part of [`Algorithm::StridedParts`], a convolution at stride 1; `None` if none is fast.
pub(super) fn plan_part(
    part: &ConvShape,
    precision: MatmulPrecision,
    available: Available,
) -> Option<Algorithm> {
    Chooser::new(Pass::InputGrad, precision, available).part(part)
}

struct Chooser {
    pass: Pass,
    bf16: bool,
    amx: bool,
    excluded: Option<Exclusion>,
}

impl Chooser {
    fn new(pass: Pass, precision: MatmulPrecision, available: Available) -> Self {
        let bf16 = precision == MatmulPrecision::Bf16 && available.simd == SimdLevel::Avx512;
        Self {
            pass,
            bf16,
            amx: bf16 && available.amx,
            excluded: available.excluded,
        }
    }

    fn allows(&self, algorithm: Algorithm) -> bool {
        let excluded = self.excluded;
        !excluded.is_some_and(|excluded| excluded.applies(algorithm, self.pass))
    }

    fn forward(&self, shape: &ConvShape) -> Algorithm {
        if shape.is_pointwise() {
            return self.matmul(shape);
        }
        if self.amx(shape) {
            return Algorithm::Amx;
        }
        if self.pass == Pass::Inference && self.winograd(shape) {
            return Algorithm::Winograd;
        }
        if self.direct(shape) {
            return Algorithm::Direct;
        }
        Algorithm::Im2col
    }

    fn weight_grad(&self, shape: &ConvShape) -> Algorithm {
        if self.amx(shape) {
            Algorithm::Amx
        } else if self.winograd(shape) {
            Algorithm::Winograd
        } else if shape.is_pointwise() && self.allows(Algorithm::Pointwise) {
            Algorithm::Pointwise
        } else {
            Algorithm::Direct
        }
    }

    fn input_grad(&self, shape: &ConvShape) -> Algorithm {
        if shape.is_pointwise() && shape.units_are_images() && self.allows(Algorithm::Pointwise) {
            return Algorithm::Pointwise;
        }
        if let Some(transposed) = shape.transposed() {
            if shape.is_pointwise() {
                return Algorithm::Im2col;
            }
            if self.amx(&transposed) {
                return Algorithm::Amx;
            }
            if self.winograd(&transposed) {
                return Algorithm::Winograd;
            }
            if self.direct(&transposed) {
                return Algorithm::Direct;
            }
            return Algorithm::Im2col;
        }
        let parts = strided_input_grad::Parts::new(shape);
        let is_fast =
            parts.is_some_and(|parts| parts.shapes().all(|part| self.part(&part).is_some()));
        match is_fast && self.allows(Algorithm::StridedParts) {
            true => Algorithm::StridedParts,
            false => Algorithm::Col2im,
        }
    }

    fn part(&self, part: &ConvShape) -> Option<Algorithm> {
        if part.is_pointwise() {
            Some(self.matmul(part))
        } else if self.amx(part) {
            Some(Algorithm::Amx)
        } else {
            self.direct(part).then_some(Algorithm::Direct)
        }
    }

    /// For a kernel of 1x1: one multiplication per image, or tiles of all images where they are small.
    fn matmul(&self, shape: &ConvShape) -> Algorithm {
        match shape.units_are_images() && self.allows(Algorithm::Pointwise) {
            true => Algorithm::Pointwise,
            false => Algorithm::Im2col,
        }
    }

    fn amx(&self, shape: &ConvShape) -> bool {
        self.amx && amx::fits(shape) && self.allows(Algorithm::Amx)
    }

    /// In bf16 the sum over taps is faster, and the transforms would add to its rounding.
    fn winograd(&self, shape: &ConvShape) -> bool {
        !self.bf16 && winograd::fits(shape) && self.allows(Algorithm::Winograd)
    }

    fn direct(&self, shape: &ConvShape) -> bool {
        !self.bf16 && direct::fits(shape) && self.allows(Algorithm::Direct)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Conv2dGeometry;

    fn shape(
        [images, in_channels, side, out_channels]: [usize; 4],
        [kernel, stride, padding]: [usize; 3],
    ) -> ConvShape {
        let geometry = Conv2dGeometry {
            stride: [stride; 2],
            padding: [padding; 2],
            dilation: [1; 2],
        };
        let weight = [out_channels, in_channels, kernel, kernel];
        ConvShape::new([images, in_channels, side, side], weight, geometry)
    }

    /// Shape (images, inputs, side, outputs; kernel, stride, padding), and the algorithms of inference, training, the
    /// input's gradient and the weight's: in f32, in bf16 by AVX-512, in bf16 by AMX.
    #[test]
    fn algorithms_follow_from_shape_pass_precision_and_hardware() {
        use Algorithm::*;
        let stem = shape([16, 3, 32, 24], [3, 1, 1]);
        let wide = shape([16, 64, 32, 64], [3, 1, 1]);
        let deep = shape([16, 512, 4, 512], [3, 1, 1]);
        let strided = shape([16, 64, 32, 128], [3, 2, 1]);
        let pointwise = shape([16, 64, 32, 128], [1, 1, 0]);
        let small_pointwise = shape([16, 1024, 4, 256], [1, 1, 0]);
        let strided_pointwise = shape([16, 64, 32, 128], [1, 2, 0]);
        let tiny = shape([1, 16, 4, 16], [3, 1, 1]);
        let large_kernel = shape([1, 3, 384, 64], [7, 2, 3]);
        for (name, shape, f32, bf16, amx) in [
            (
                "stem",
                stem,
                [Direct, Direct, Direct, Direct],
                [Im2col, Im2col, Im2col, Direct],
                [Im2col, Im2col, Im2col, Direct],
            ),
            (
                "wide",
                wide,
                [Winograd, Direct, Winograd, Winograd],
                [Im2col, Im2col, Im2col, Direct],
                [Amx, Amx, Amx, Amx],
            ),
            (
                "deep",
                deep,
                [Im2col, Im2col, Im2col, Direct],
                [Im2col, Im2col, Im2col, Direct],
                [Amx, Amx, Amx, Amx],
            ),
            (
                "strided",
                strided,
                [Direct, Direct, StridedParts, Direct],
                [Im2col, Im2col, Col2im, Direct],
                [Amx, Amx, StridedParts, Amx],
            ),
            (
                "pointwise",
                pointwise,
                [Pointwise, Pointwise, Pointwise, Pointwise],
                [Pointwise, Pointwise, Pointwise, Pointwise],
                [Pointwise, Pointwise, Pointwise, Amx],
            ),
            (
                "small pointwise",
                small_pointwise,
                [Im2col, Im2col, Im2col, Pointwise],
                [Im2col, Im2col, Im2col, Pointwise],
                [Im2col, Im2col, Im2col, Amx],
            ),
            (
                "strided pointwise",
                strided_pointwise,
                [Pointwise, Pointwise, Pointwise, Pointwise],
                [Pointwise, Pointwise, Pointwise, Pointwise],
                [Pointwise, Pointwise, Pointwise, Amx],
            ),
            (
                "tiny",
                tiny,
                [Im2col, Im2col, Im2col, Direct],
                [Im2col, Im2col, Im2col, Direct],
                [Amx, Amx, Amx, Amx],
            ),
            (
                "large kernel",
                large_kernel,
                [Direct, Direct, StridedParts, Direct],
                [Im2col, Im2col, Col2im, Direct],
                [Im2col, Im2col, Col2im, Direct],
            ),
        ] {
            let passes = [
                Pass::Inference,
                Pass::Training,
                Pass::InputGrad,
                Pass::WeightGrad,
            ];
            for (precision, amx, algorithms) in [
                (MatmulPrecision::F32, false, f32),
                (MatmulPrecision::Bf16, false, bf16),
                (MatmulPrecision::Bf16, true, amx),
            ] {
                let available = Available {
                    simd: SimdLevel::Avx512,
                    amx,
                    excluded: None,
                };
                for (pass, algorithm) in passes.into_iter().zip(algorithms) {
                    let planned = plan(&shape, pass, precision, available);
                    assert_eq!(
                        planned, algorithm,
                        "{name}, {pass:?}, {precision:?}, AMX {amx}"
                    );
                }
            }
            // A lowered instruction set has no bf16.
            let lowered = Available {
                simd: SimdLevel::Avx2,
                amx: false,
                excluded: None,
            };
            for (pass, algorithm) in passes.into_iter().zip(f32) {
                let planned = plan(&shape, pass, MatmulPrecision::Bf16, lowered);
                assert_eq!(planned, algorithm, "{name}, {pass:?}, AVX2");
            }
        }
    }
}
