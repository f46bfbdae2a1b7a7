//! Nearest-code search: the nearest row of a codebook, for a block of rows at a time.

use rayon::prelude::*;

use super::gemm::matmul_f32;
use super::matrix::Matrix;
use super::simd::{simd_dispatch, sum};
use super::tensor::with_scratch;

/// Bounds for the rows of a task. There are eight tasks, since each reads the whole codebook, unless the bounds forbid it.
const MIN_ROWS: usize = 32;
const MAX_ROWS: usize = 512;
const TASKS: usize = 8;
const LANES: usize = 16;

/// Index of the row of `codebook` nearest to each row of `x`; both have `width` columns. The first of several nearest rows.
pub(crate) fn nearest_code(x: &[f32], codebook: &[f32], width: usize) -> Vec<i32> {
    let (rows, codes) = (x.len() / width, codebook.len() / width);
    let norms: Vec<f32> = codebook
        .chunks_exact(width)
        .map(|code| {
            simd_dispatch(
                #[inline(always)]
                || sum(code, |x| x * x),
            )
        })
        .collect();
    let chunk = rows.div_ceil(TASKS).clamp(MIN_ROWS, MAX_ROWS);
    let mut indices = vec![0i32; rows];
    indices
        .par_chunks_mut(chunk)
        .zip(x.par_chunks(chunk * width))
        .for_each(|(indices, x)| {
            with_scratch(indices.len() * codes, |dots| {
                let right = Matrix::row_major(codebook, width).transposed();
                let shape = [indices.len(), width, codes];
                matmul_f32(shape, dots, Matrix::row_major(x, width), right);
                for (index, dots) in indices.iter_mut().zip(dots.chunks_exact(codes)) {
                    *index = simd_dispatch(
                        #[inline(always)]
                        || min_index(dots, &norms),
                    ) as i32;
                }
            });
        });
    indices
}

/// The first index of the minimum of `norm - 2 * dot`.
#[inline(always)]
fn min_index(dots: &[f32], norms: &[f32]) -> usize {
    let mut min_scores = [f32::INFINITY; LANES];
    let mut min_chunks = [0u32; LANES];
    let (dot_chunks, dot_rest) = dots.as_chunks::<LANES>();
    let (norm_chunks, norm_rest) = norms.as_chunks::<LANES>();
    for (chunk, (dots, norms)) in dot_chunks.iter().zip(norm_chunks).enumerate() {
        for lane in 0..LANES {
            let score = norms[lane] - 2.0 * dots[lane];
            let less = score < min_scores[lane];
            min_scores[lane] = if less { score } else { min_scores[lane] };
            min_chunks[lane] = if less { chunk as u32 } else { min_chunks[lane] };
        }
    }
    let (mut min_index, mut min_score) = (0, f32::INFINITY);
    for (lane, (score, chunk)) in min_scores.iter().zip(min_chunks).enumerate() {
        let index = chunk as usize * LANES + lane;
        if *score < min_score || (*score == min_score && index < min_index) {
            (min_index, min_score) = (index, *score);
        }
    }
    for (i, (dot, norm)) in dot_rest.iter().zip(norm_rest).enumerate() {
        let score = norm - 2.0 * dot;
        if score < min_score {
            (min_index, min_score) = (dot_chunks.len() * LANES + i, score);
        }
    }
    min_index
}
