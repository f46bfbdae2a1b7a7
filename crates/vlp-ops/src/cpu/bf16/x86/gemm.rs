//! Matrix multiplication by blocks of the depth and panels.

use std::cell::Cell;
use std::ops::Range;

use rayon::prelude::*;

use super::amx_config::AmxSession;
use super::avx512::panel_kernel;
use super::isa::MatmulIsa;
use super::layout::{COLUMNS, CacheLine, LANES, RIGHT_CHUNK_LINES};
use super::operand::{BLOCK_CHUNKS, BLOCK_DEPTH, Packed};
use super::pack;
use crate::cpu::bf16::{Accumulate, Bf16Gemm, Operand};
use crate::cpu::matrix::{Matrix, OutPtr};

/// Rows of the left operand's panels, empty ones included, that are multiplied by one panel of the right: half of an L2
/// cache of 1 MiB.
const GROUP_ROWS: usize = 46 * LANES;
/// Columns of a right operand that are packed at a time.
const SPAN_COLUMNS: usize = 16 * COLUMNS;
/// Number of blocks for all threads.
const BLOCKS: usize = 8;
/// Fewer multiplications are one block.
const MIN_PARALLEL: usize = 1 << 20;

impl Bf16Gemm<'_> {
    /// Writes some rows and columns of the result, added to `accumulate`, on this thread. For a packed operand, rows or
    /// columns must start with a panel. `out` is that of the whole result.
    ///
    /// # Safety
    /// [`is_profitable`](crate::cpu::bf16::is_profitable) must have returned true, so that the processor has AVX-512 F,
    /// BW and BF16. The operands must contain the depth, the rows and the columns; a bias must contain the columns. The
    /// rows and columns of `out` must be valid for writes, and initialized for [`Accumulate::Existing`]; no other task
    /// may access them during the call.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn write(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        out: OutPtr,
        accumulate: Accumulate<'_>,
    ) {
        let isa = match &self.left {
            Operand::Packed(packed) => packed.isa,
            Operand::Plain(_) => MatmulIsa::current(),
        };
        // SAFETY: the caller guarantees the requirements, and the process may use the current instructions.
        unsafe { self.write_with(isa, rows, columns, out, accumulate) };
    }

    /// [`Self::write`] with these instructions.
    ///
    /// # Safety
    /// The requirements of [`Self::write`] must hold, and the process must be able to use `isa`.
    #[allow(unsafe_code)]
    unsafe fn write_with(
        &self,
        isa: MatmulIsa,
        rows: Range<usize>,
        columns: Range<usize>,
        out: OutPtr,
        accumulate: Accumulate<'_>,
    ) {
        thread_local! {
            static BUFFERS: Cell<[Vec<CacheLine>; 2]> = Cell::default();
        }
        let mut buffers = BUFFERS.take();
        buffers[0].resize(GROUP_ROWS * BLOCK_CHUNKS, CacheLine::default());
        let right_lines = SPAN_COLUMNS / COLUMNS * BLOCK_CHUNKS * RIGHT_CHUNK_LINES;
        buffers[1].resize(right_lines, CacheLine::default());
        // SAFETY: the caller guarantees the requirements.
        unsafe { self.write_blocks(isa, rows, columns, out, accumulate, &mut buffers) };
        BUFFERS.set(buffers);
    }

    /// Multiplies plain operands on all threads, in blocks of rows or of columns, whichever are more. The operand that all
    /// blocks need is packed beforehand. `epilogue` gets the rows and columns of each block as soon as it is written.
    ///
    /// # Safety
    /// The requirements of [`Self::write`] must hold for the whole result.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn write_in_blocks(
        [rows, depth, columns]: [usize; 3],
        left: Matrix<'_>,
        right: Matrix<'_>,
        out: OutPtr,
        accumulate: Accumulate<'_>,
        epilogue: &(impl Fn(Range<usize>, Range<usize>) + Sync),
    ) {
        let by_rows = rows > columns;
        let shared = match by_rows {
            _ if rows * depth * columns <= MIN_PARALLEL => None,
            true => Packed::right(right, [depth, columns]),
            false => Packed::left(left, [rows, depth]),
        };
        let (length, grain) = match by_rows {
            true => (rows, MatmulIsa::current().panel_rows()),
            false => (columns, COLUMNS),
        };
        let (mut left, mut right) = (Operand::Plain(left), Operand::Plain(right));
        let mut block = length;
        if let Some(shared) = &shared {
            block = length.div_ceil(BLOCKS).next_multiple_of(grain);
            match by_rows {
                true => right = Operand::Packed(shared),
                false => left = Operand::Packed(shared),
            }
        }
        let gemm = Bf16Gemm { depth, left, right };
        let write = |rows: Range<usize>, columns: Range<usize>| {
            // SAFETY: the caller guarantees the requirements, and blocks do not overlap.
            unsafe { gemm.write(rows.clone(), columns.clone(), out, accumulate) };
            epilogue(rows, columns);
        };
        if block >= length {
            return write(0..rows, 0..columns);
        }
        let firsts: Vec<usize> = (0..length).step_by(block).collect();
        firsts.into_par_iter().for_each(|first| {
            let range = first..length.min(first + block);
            match by_rows {
                true => write(range, 0..columns),
                false => write(0..rows, range),
            }
        });
    }

    /// # Safety
    /// The requirements of [`Self::write_with`] must hold.
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn write_blocks(
        &self,
        isa: MatmulIsa,
        rows: Range<usize>,
        columns: Range<usize>,
        out: OutPtr,
        accumulate: Accumulate<'_>,
        [left_buffer, right_buffer]: &mut [Vec<CacheLine>; 2],
    ) {
        // SAFETY: the process may use AMX (guaranteed by the caller). This function calls nothing that makes a second
        // session, and starts no rayon work.
        let amx = isa.is_amx().then(|| unsafe { AmxSession::new() });
        let group = GROUP_ROWS / isa.left_chunk_lines() * isa.panel_rows();
        // A packed operand needs no buffer: all columns at once.
        let span = match &self.right {
            Operand::Packed(_) => columns.len().max(1),
            Operand::Plain(_) => SPAN_COLUMNS,
        };
        for k in (0..self.depth).step_by(BLOCK_DEPTH) {
            let block = DepthBlock {
                gemm: self,
                isa,
                amx: amx.as_ref(),
                k,
                depth: BLOCK_DEPTH.min(self.depth - k),
                out,
                accumulate,
            };
            for first in columns.clone().step_by(span) {
                let columns = first..columns.end.min(first + span);
                let right = block.right_panels(columns.clone(), right_buffer);
                for first in rows.clone().step_by(group) {
                    let rows = first..rows.end.min(first + group);
                    let left = block.left_panels(rows.clone(), left_buffer);
                    // SAFETY: the caller guarantees the requirements.
                    unsafe { block.write(rows, columns.clone(), left, right) };
                }
            }
        }
    }
}

/// A multiplication restricted to a block of its depth.
struct DepthBlock<'a> {
    gemm: &'a Bf16Gemm<'a>,
    isa: MatmulIsa,
    amx: Option<&'a AmxSession>,
    k: usize,
    depth: usize,
    out: OutPtr,
    accumulate: Accumulate<'a>,
}

impl DepthBlock<'_> {
    /// Panels of the right operand from the first of these columns on; packed into `buffer` where they are not yet.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn right_panels<'r>(
        &'r self,
        columns: Range<usize>,
        buffer: &'r mut [CacheLine],
    ) -> &'r [CacheLine] {
        let matrix = match &self.gemm.right {
            Operand::Packed(packed) => return packed.panels(self.k, columns.start),
            Operand::Plain(matrix) => matrix,
        };
        let panels = buffer.chunks_exact_mut(pack::chunks(self.depth) * RIGHT_CHUNK_LINES);
        for (column, out) in columns.clone().step_by(COLUMNS).zip(panels) {
            let count = COLUMNS.min(columns.end - column);
            pack::right(matrix.offset(self.k, column), [self.depth, count], out);
        }
        buffer
    }

    /// Panels of the left operand, likewise.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn left_panels<'r>(
        &'r self,
        rows: Range<usize>,
        buffer: &'r mut [CacheLine],
    ) -> &'r [CacheLine] {
        let matrix = match &self.gemm.left {
            Operand::Packed(packed) => return packed.panels(self.k, rows.start),
            Operand::Plain(matrix) => matrix,
        };
        let isa = self.isa;
        let panels = buffer.chunks_exact_mut(pack::chunks(self.depth) * isa.left_chunk_lines());
        for (row, out) in rows.clone().step_by(isa.panel_rows()).zip(panels) {
            let count = isa.panel_rows().min(rows.end - row);
            pack::left(isa, matrix.offset(row, self.k), [count, self.depth], out);
        }
        buffer
    }

    /// Writes some rows and columns from panels that start with them.
    ///
    /// # Safety
    /// The requirements of [`Bf16Gemm::write_with`] must hold for these rows and columns.
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn write(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        left: &[CacheLine],
        right: &[CacheLine],
    ) {
        let is_row_major = match &self.gemm.left {
            Operand::Plain(matrix) => matrix.column_stride == 1,
            Operand::Packed(packed) => packed.is_row_major,
        };
        let kernel = match is_row_major {
            true => panel_kernel::<LANES, 1>,
            false => panel_kernel::<1, LANES>,
        };
        let panel_rows = self.isa.panel_rows();
        let chunks = pack::chunks(self.depth);
        let left_panels = left.chunks_exact(chunks * self.isa.left_chunk_lines());
        let right_panels = right.chunks_exact(chunks * RIGHT_CHUNK_LINES);
        for (column, right) in columns.clone().step_by(COLUMNS).zip(right_panels) {
            let width = COLUMNS.min(columns.end - column);
            let left_panels = rows.clone().step_by(panel_rows).zip(left_panels.clone());
            for (row, left) in left_panels {
                let count = panel_rows.min(rows.end - row);
                let out = self.out.offset(row, column);
                let start = match self.accumulate {
                    Accumulate::Bias(values) if self.k == 0 => Some((values[column..].as_ptr(), 0)),
                    Accumulate::Zero if self.k == 0 => None,
                    _ => Some((out.ptr.cast_const(), out.stride)),
                };
                // SAFETY: the panel's rows and columns are part of the result, and `start` is as large; guaranteed by the
                // caller.
                unsafe {
                    match self.amx {
                        Some(amx) => amx.multiply([count, width], left, right, start, out),
                        None => {
                            let pairs = self.depth.div_ceil(2);
                            kernel(count)(pairs, left, right, start, out, width);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precision::has_bf16;

    /// Whole numbers, of which all sums are exact: the result is the same with any instructions.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 7 + seed) * 2_654_435_761 % 1_000_003 % 17) as f32 - 8.0)
            .collect()
    }

    /// Leaves NaN in the buffers for packed operands: content beyond the end of an operand must not reach a result.
    fn fill_buffers_with_nan(isa: MatmulIsa) {
        let nan = vec![f32::NAN; 64 * BLOCK_DEPTH];
        let mut out = vec![0.0; 64 * 64];
        let gemm = Bf16Gemm {
            depth: BLOCK_DEPTH,
            left: Operand::Plain(Matrix::row_major(&nan, BLOCK_DEPTH)),
            right: Operand::Plain(Matrix::row_major(&nan, 64)),
        };
        let out = OutPtr {
            ptr: out.as_mut_ptr(),
            stride: 64,
        };
        // SAFETY: the process may use `isa`; the operands contain the shape, and `out` the result.
        #[allow(unsafe_code)]
        unsafe {
            gemm.write_with(isa, 0..64, 0..64, out, Accumulate::Zero);
        }
    }

    fn available_isas() -> Vec<MatmulIsa> {
        match (has_bf16(), MatmulIsa::current()) {
            (false, _) => {
                let message = "SKIPPED: no AVX-512 BF16 in use";
                let required = std::env::var_os("VLP_REQUIRE_SIMD").is_some_and(|v| v == "1");
                assert!(!required, "{message}");
                eprintln!("{message}");
                vec![]
            }
            (true, MatmulIsa::Avx512) => vec![MatmulIsa::Avx512],
            (true, MatmulIsa::Amx) => vec![MatmulIsa::Avx512, MatmulIsa::Amx],
        }
    }

    #[test]
    fn all_instructions_give_the_same_results() {
        let isas = available_isas();
        for [rows, depth, columns] in [
            [8, 1, 8],
            [14, 31, 32],
            [15, 32, 33],
            [16, 33, 31],
            [17, 64, 64],
            [32, 95, 32],
            [33, 97, 47],
            [43, 385, 16],
            [800, 800, 70],
        ] {
            let (x, y) = (numbers(rows * depth, 1), numbers(depth * columns, 2));
            let bias = numbers(columns, 3);
            for transposed in 0..4 {
                let left = match transposed & 1 {
                    0 => Matrix::row_major(&x, depth),
                    _ => Matrix::row_major(&x, rows).transposed(),
                };
                let right = match transposed & 2 {
                    0 => Matrix::row_major(&y, columns),
                    _ => Matrix::row_major(&y, depth).transposed(),
                };
                let expected: Vec<f32> = (0..rows * columns)
                    .map(|i| {
                        let (row, column) = (i / columns, i % columns);
                        let terms = (0..depth).map(|k| {
                            left.offset(row, k).values[0] * right.offset(k, column).values[0]
                        });
                        terms.sum::<f32>() + bias[column]
                    })
                    .collect();
                for isa in &isas {
                    for packed in 0..4 {
                        fill_buffers_with_nan(*isa);
                        let packed_left = Packed::left_for(*isa, left, [rows, depth]);
                        let packed_right = Packed::right_for(*isa, right, [depth, columns]);
                        let gemm = Bf16Gemm {
                            depth,
                            left: match packed & 1 {
                                0 => Operand::Plain(left),
                                _ => Operand::Packed(&packed_left),
                            },
                            right: match packed & 2 {
                                0 => Operand::Plain(right),
                                _ => Operand::Packed(&packed_right),
                            },
                        };
                        // Values after a row of the result must not change.
                        let stride = columns + 3;
                        let mut out = vec![f32::NAN; rows * stride];
                        let ptr = OutPtr {
                            ptr: out.as_mut_ptr(),
                            stride,
                        };
                        // SAFETY: the process may use `isa`; the operands contain the shape, and `out` the result.
                        #[allow(unsafe_code)]
                        unsafe {
                            let accumulate = Accumulate::Bias(&bias);
                            gemm.write_with(*isa, 0..rows, 0..columns, ptr, accumulate);
                        }
                        for (row, expected) in out.chunks(stride).zip(expected.chunks(columns)) {
                            assert_eq!(
                                &row[..columns],
                                expected,
                                "{isa:?} {rows} {depth} {columns}"
                            );
                            assert!(row[columns..].iter().all(|value| value.is_nan()));
                        }
                    }
                }
            }
        }
    }
}
