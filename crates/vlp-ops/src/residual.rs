//! What norms inside a residual network share: a line a channel, shortcut and ReLU in one pass, and its gradient.

use burn::backend::TensorMetadata;

use crate::finish::rectifier;
use crate::flex::{Array, array, owned, sum2, values};
use crate::maps::{Maps, Pieces, Strip};

/// Sum of `f` over two planes: runs in f32, the runs' sums in f64.
#[inline(always)]
pub(crate) fn plane_sum(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    /// 256 values a lane.
    const RUN: usize = 4096;
    let mut total = 0.0;
    for (a, b) in a.chunks(RUN).zip(b.chunks(RUN)) {
        total += f64::from(sum2(a, b, &f));
    }
    total
}

/// What a norm does to a channel: `(x - mean) * scale + shift`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) mean: f32,
    pub(crate) scale: f32,
    pub(crate) shift: f32,
}

/// Writes a strip: each channel's line, plus the shortcut, through ReLU where `rectify`.
#[inline(always)]
pub(crate) fn write(
    strip: &Strip,
    out: Pieces<'_>,
    x: &[f32],
    shortcut: Option<&[f32]>,
    rectify: bool,
    lines: &[Line],
) {
    let raise = rectifier(rectify);
    for (image, out) in out.into_iter().enumerate() {
        let planes = out.chunks_exact_mut(strip.area()).zip(lines);
        for (channel, (out, line)) in planes.enumerate() {
            let Line { mean, scale, shift } = *line;
            let at = strip.plane(image, channel);
            let x = &x[at.clone()];
            let line = |x: f32| (x - mean) * scale + shift;
            match shortcut {
                None => map(out, x, x, |_, x, _| raise(line(x))),
                Some(shortcut) => {
                    let add = |_, x, other| raise(line(x) + other);
                    map(out, x, &shortcut[at], add);
                }
            }
        }
    }
}

/// `out = f(out, a, b)`.
#[inline(always)]
fn map(out: &mut [f32], a: &[f32], b: &[f32], f: impl Fn(f32, f32, f32) -> f32) {
    for (out, (a, b)) in out.iter_mut().zip(a.iter().zip(b)) {
        *out = f(*out, *a, *b);
    }
}

/// How the gradient of a channel's values follows from the output's, `g`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slope {
    pub(crate) factor: f32,
    /// `level` and `tilt` where a batch's statistics are part of the norm: `factor * (g - level - (x - mean) * tilt)`;
    /// else `factor * g`.
    pub(crate) statistics: Option<[f32; 2]>,
}

/// Gradients.
pub(crate) struct Pulled {
    pub(crate) x: Array,
    /// Where asked for.
    pub(crate) shortcut: Option<Array>,
    /// Of `g` and of `g * (x - mean)`, a channel; nothing without `x`.
    pub(crate) sums: Vec<[f64; 2]>,
}

/// Gradients from that of the output, `grad`, which is overwritten where nobody else holds it. `output` where ReLU was,
/// `x` where sums are asked for, each channel's mean, and its slope by its sums.
pub(crate) fn pull(
    grad: Array,
    output: Option<&Array>,
    x: Option<&Array>,
    with_shortcut: bool,
    mean: impl Fn(usize) -> f32 + Sync,
    slope: impl Fn(usize, [f64; 2]) -> Slope + Sync,
) -> Pulled {
    let mut grad = owned(grad);
    let maps = Maps::of(&grad);
    let (output, x) = (output.map(values), x.map(values));
    // The gradient of x takes the place of the output's, unless the shortcut's gradient is that.
    let mut apart = Vec::new();
    if with_shortcut {
        apart.resize(maps.channels * maps.count(), 0.0);
    }
    let sums = maps.each(
        grad.storage_mut::<f32>(),
        &mut apart,
        #[inline(always)]
        |strip, mut grads, apart| {
            let mut sums = vec![[0.0; 2]; strip.channels.len()];
            for (image, grad) in grads.iter_mut().enumerate() {
                for (channel, grad) in grad.chunks_exact_mut(maps.area).enumerate() {
                    let at = strip.plane(image, channel);
                    if let Some(output) = output {
                        // Where the output is NaN it passes, as in burn's.
                        let mask = |g: f32, y: f32, _| if y <= 0.0 { 0.0 } else { g };
                        map(grad, &output[at.clone()], &output[at.clone()], mask);
                    }
                    if let Some(x) = x {
                        let mean = mean(strip.channels.start + channel);
                        let sums = &mut sums[channel];
                        sums[0] += plane_sum(grad, grad, |g, _| g);
                        sums[1] += plane_sum(grad, &x[at], |g, x| g * (x - mean));
                    }
                }
            }
            let slopes: Vec<Slope> = strip
                .channels
                .clone()
                .zip(&sums)
                .map(|(channel, sums)| slope(channel, *sums))
                .collect();
            let mut apart = apart.into_iter();
            for (image, grad) in grads.into_iter().enumerate() {
                let out = match apart.next() {
                    Some(out) => {
                        out.copy_from_slice(grad);
                        out
                    }
                    None => grad,
                };
                let planes = out.chunks_exact_mut(maps.area).zip(&slopes);
                for (channel, (out, slope)) in planes.enumerate() {
                    let Slope { factor, statistics } = *slope;
                    match (statistics, x) {
                        (Some([level, tilt]), Some(x)) => {
                            let mean = mean(strip.channels.start + channel);
                            let x = &x[strip.plane(image, channel)];
                            map(out, x, x, |g, x, _| {
                                factor * (g - level - (x - mean) * tilt)
                            });
                        }
                        _ => {
                            for out in out {
                                *out *= factor;
                            }
                        }
                    }
                }
            }
            sums
        },
    );
    let sums = sums.into_iter().flatten().collect();
    if with_shortcut {
        let x = array(apart, grad.shape());
        Pulled {
            x,
            shortcut: Some(grad),
            sums,
        }
    } else {
        Pulled {
            x: grad,
            shortcut: None,
            sums,
        }
    }
}
