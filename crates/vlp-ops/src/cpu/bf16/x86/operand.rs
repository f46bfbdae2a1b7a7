//! Operands packed once for several multiplications.

use super::isa::MatmulIsa;
use super::layout::{COLUMNS, CacheLine, LANES, RIGHT_CHUNK_LINES};
use super::pack;
use crate::cpu::bf16::is_profitable;
use crate::cpu::matrix::Matrix;
use crate::cpu::tensor::alloc_blocks;

/// Chunks of a block of the depth: a panel of the right operand, 24 KiB, stays in the L1 cache.
pub(super) const BLOCK_CHUNKS: usize = 12;
/// Depth of a block.
pub(super) const BLOCK_DEPTH: usize = BLOCK_CHUNKS * 2 * LANES;

/// An operand packed for all multiplications that need it.
pub(crate) struct Packed {
    /// For each block of the depth, all panels one after the other.
    blocks: Vec<Vec<CacheLine>>,
    depth: usize,
    /// Rows or columns of a panel.
    panel_len: usize,
    /// Cache lines of a chunk of a panel.
    chunk_lines: usize,
    /// Whether a left operand was row-major.
    pub(super) is_row_major: bool,
    pub(super) isa: MatmulIsa,
}

/// What to pack: the first row or column and the first value of the depth, and how many of each.
struct PanelRange {
    first: usize,
    k: usize,
    count: usize,
    depth: usize,
}

impl Packed {
    /// A left operand `[rows, depth]`, packed on all threads; `None` if f32 is used.
    pub(crate) fn left(matrix: Matrix<'_>, [rows, depth]: [usize; 2]) -> Option<Self> {
        if !is_profitable([rows, depth, rows]) {
            return None;
        }
        matrix.assert_contains(rows, depth);
        Some(Self::left_for(MatmulIsa::current(), matrix, [rows, depth]))
    }

    /// A right operand `[depth, columns]`, packed on all threads; `None` if f32 is used.
    pub(crate) fn right(matrix: Matrix<'_>, [depth, columns]: [usize; 2]) -> Option<Self> {
        if !is_profitable([columns, depth, columns]) {
            return None;
        }
        matrix.assert_contains(depth, columns);
        let isa = MatmulIsa::current();
        Some(Self::right_for(isa, matrix, [depth, columns]))
    }

    pub(super) fn left_for(isa: MatmulIsa, matrix: Matrix<'_>, [rows, depth]: [usize; 2]) -> Self {
        let is_row_major = matrix.column_stride == 1;
        let layout = [isa.panel_rows(), isa.left_chunk_lines()];
        Self::new(isa, [rows, depth], layout, is_row_major, |range, out| {
            let panel = matrix.offset(range.first, range.k);
            // SAFETY: callers have checked that the processor has AVX-512 BF16.
            #[allow(unsafe_code)]
            unsafe {
                pack::left(isa, panel, [range.count, range.depth], out);
            }
        })
    }

    pub(super) fn right_for(
        isa: MatmulIsa,
        matrix: Matrix<'_>,
        [depth, columns]: [usize; 2],
    ) -> Self {
        let layout = [COLUMNS, RIGHT_CHUNK_LINES];
        Self::new(isa, [columns, depth], layout, false, |range, out| {
            let panel = matrix.offset(range.k, range.first);
            // SAFETY: callers have checked that the processor has AVX-512 BF16.
            #[allow(unsafe_code)]
            unsafe {
                pack::right(panel, [range.depth, range.count], out);
            }
        })
    }

    fn new(
        isa: MatmulIsa,
        [length, depth]: [usize; 2],
        [panel_len, chunk_lines]: [usize; 2],
        is_row_major: bool,
        pack_panel: impl Fn(PanelRange, &mut [CacheLine]) + Sync,
    ) -> Self {
        let block = |k: usize| {
            let depth = BLOCK_DEPTH.min(depth - k);
            let panel_lines = pack::chunks(depth) * chunk_lines;
            let panels = length.div_ceil(panel_len);
            alloc_blocks(panels * panel_lines, panel_lines, |i, out| {
                let first = i * panel_len;
                let range = PanelRange {
                    first,
                    k,
                    count: panel_len.min(length - first),
                    depth,
                };
                pack_panel(range, out);
            })
        };
        Self {
            blocks: (0..depth).step_by(BLOCK_DEPTH).map(block).collect(),
            depth,
            panel_len,
            chunk_lines,
            is_row_major,
            isa,
        }
    }

    /// Panels from that of row or column `first` on, in the block of the depth that starts at `k`.
    pub(super) fn panels(&self, k: usize, first: usize) -> &[CacheLine] {
        debug_assert!(first.is_multiple_of(self.panel_len));
        let chunks = pack::chunks(BLOCK_DEPTH.min(self.depth - k));
        let panel_lines = chunks * self.chunk_lines;
        &self.blocks[k / BLOCK_DEPTH][first / self.panel_len * panel_lines..]
    }
}
