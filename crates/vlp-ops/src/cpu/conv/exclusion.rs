//! Excludes one algorithm from every plan, to measure its gain. Not a setting for users.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::algorithm::{Algorithm, Pass};

/// An algorithm of the output and the input's gradient, or one of the weight's gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exclusion {
    name: &'static str,
    algorithm: Algorithm,
    weight_grad: bool,
}

/// Algorithms that can be excluded, because another one can replace them.
const EXCLUSIONS: [Exclusion; 8] = {
    const fn new(name: &'static str, algorithm: Algorithm, weight_grad: bool) -> Exclusion {
        Exclusion {
            name,
            algorithm,
            weight_grad,
        }
    }
    [
        new("AMX tiles", Algorithm::Amx, false),
        new("AMX tiles, weight gradient", Algorithm::Amx, true),
        new("Winograd", Algorithm::Winograd, false),
        new("Winograd, weight gradient", Algorithm::Winograd, true),
        new("direct", Algorithm::Direct, false),
        new("pointwise matmul", Algorithm::Pointwise, false),
        new("pointwise, weight gradient", Algorithm::Pointwise, true),
        new("strided parts", Algorithm::StridedParts, false),
    ]
};

/// Index in [`EXCLUSIONS`]; one beyond the last for none.
static EXCLUDED: AtomicUsize = AtomicUsize::new(EXCLUSIONS.len());
static USES: AtomicUsize = AtomicUsize::new(0);

impl Exclusion {
    pub(super) fn current() -> Option<Self> {
        EXCLUSIONS.get(EXCLUDED.load(Ordering::Relaxed)).copied()
    }

    pub(super) fn applies(self, algorithm: Algorithm, pass: Pass) -> bool {
        self.algorithm == algorithm && self.weight_grad == (pass == Pass::WeightGrad)
    }
}

/// Counts a convolution that takes another algorithm because of the exclusion.
pub(super) fn count_use() {
    USES.fetch_add(1, Ordering::Relaxed);
}

/// Names of the algorithms that [`exclude`] takes.
pub(crate) fn excludable() -> Vec<&'static str> {
    EXCLUSIONS.map(|exclusion| exclusion.name).to_vec()
}

/// Excludes one algorithm from every plan of the process, in place of the one before; none with `None` or an unknown name.
pub(crate) fn exclude(name: Option<&str>) {
    let index = EXCLUSIONS
        .iter()
        .position(|exclusion| Some(exclusion.name) == name);
    EXCLUDED.store(index.unwrap_or(EXCLUSIONS.len()), Ordering::Relaxed);
    USES.store(0, Ordering::Relaxed);
}

/// Convolutions that have taken another algorithm since the last call of [`exclude`].
pub(crate) fn uses_of_excluded() -> usize {
    USES.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Available, plan};
    use super::super::shape::ConvShape;
    use super::*;
    use crate::{Conv2dGeometry, MatmulPrecision, SimdLevel};

    #[test]
    fn an_excluded_algorithm_is_not_planned() {
        for exclusion in EXCLUSIONS {
            let mut uses = 0;
            for ([images, channels, side], kernel) in
                [([16, 64, 32], 3), ([16, 512, 4], 3), ([16, 64, 32], 1)]
            {
                for stride in [1, 2] {
                    let geometry = Conv2dGeometry {
                        stride: [stride; 2],
                        padding: [kernel / 2; 2],
                        dilation: [1; 2],
                    };
                    let input = [images, channels, side, side];
                    let shape =
                        ConvShape::new(input, [channels, channels, kernel, kernel], geometry);
                    for pass in [
                        Pass::Inference,
                        Pass::Training,
                        Pass::InputGrad,
                        Pass::WeightGrad,
                    ] {
                        for (precision, amx) in [
                            (MatmulPrecision::F32, false),
                            (MatmulPrecision::Bf16, false),
                            (MatmulPrecision::Bf16, true),
                        ] {
                            let planned = |excluded| {
                                let simd = SimdLevel::Avx512;
                                let available = Available {
                                    simd,
                                    amx,
                                    excluded,
                                };
                                plan(&shape, pass, precision, available)
                            };
                            uses += usize::from(exclusion.applies(planned(None), pass));
                            assert!(!exclusion.applies(planned(Some(exclusion)), pass));
                        }
                    }
                }
            }
            assert!(uses > 0, "{}", exclusion.name);
        }
    }
}
