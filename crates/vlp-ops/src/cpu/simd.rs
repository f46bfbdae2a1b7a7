//! Runs code with the vector instructions of [`simd_level`], and reductions in an order that is the same for every vector
//! length.
//!
//! Code compiled for a specific instruction set (`cpu::matrix::transpose`, `cpu::bf16`) checks the same level.

use pulp::{Arch, Simd, WithSimd};

use crate::{SimdLevel, simd_level};

/// Runs `f` with the vector instructions in use. They apply only to `f` itself and to what is inlined into it, so
/// closures and functions that it calls are marked `#[inline(always)]`, and plain loops replace `for_each` and `sum`.
#[inline(always)]
pub(crate) fn simd_dispatch<R>(f: impl FnOnce() -> R) -> R {
    struct Call<F>(F);

    impl<R, F: FnOnce() -> R> WithSimd for Call<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> R {
            (self.0)()
        }
    }

    dispatch(Call(f))
}

/// Runs `op` with the vectors in use.
#[inline(always)]
pub(crate) fn dispatch<Op: WithSimd>(op: Op) -> Op::Output {
    arch().dispatch(op)
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn arch() -> Arch {
    use pulp::x86::{V3, V4};

    let level = simd_level();
    if level == SimdLevel::Avx512
        && let Some(simd) = V4::try_new()
    {
        return Arch::V4(simd);
    }
    if level >= SimdLevel::Avx2
        && let Some(simd) = V3::try_new()
    {
        return Arch::V3(simd);
    }
    Arch::Scalar
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn arch() -> Arch {
    match simd_level() {
        SimdLevel::Scalar => Arch::Scalar,
        _ => Arch::new(),
    }
}

/// Values of f32 in a vector.
#[cfg(test)]
pub(crate) fn f32_lanes() -> usize {
    struct Lanes;

    impl WithSimd for Lanes {
        type Output = usize;

        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }

    dispatch(Lanes)
}

/// Sum of `f` over two slices of one length, in sixteen lanes.
#[inline(always)]
pub(crate) fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..16 {
            lanes[lane] += f(a[lane], b[lane]);
        }
    }
    // A loop, because an iterator's `sum` may be compiled as a separate function, without the vector instructions.
    let mut tail = 0.0;
    for (a, b) in a_rest.iter().zip(b_rest) {
        tail += f(*a, *b);
    }
    // `black_box` hides this reduction from the loop above. The compiler would arrange its lanes in pairs otherwise, instead
    // of one vector.
    let mut lanes = std::hint::black_box(lanes);
    let mut half = 8;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0] + tail
}

/// Sum of `f` over a slice, in sixteen lanes.
#[inline(always)]
pub(crate) fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    sum2(values, values, |a, _| f(a))
}

/// The maximum, ignoring NaN, in sixteen lanes; `-inf` for an empty slice.
#[inline(always)]
pub(crate) fn max_value(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    let (chunks, rest) = values.as_chunks::<16>();
    for chunk in chunks {
        for (max, value) in lanes.iter_mut().zip(chunk) {
            *max = if *value > *max { *value } else { *max };
        }
    }
    let mut max = f32::NEG_INFINITY;
    for value in std::hint::black_box(lanes) {
        max = max.max(value);
    }
    for value in rest {
        max = max.max(*value);
    }
    max
}
