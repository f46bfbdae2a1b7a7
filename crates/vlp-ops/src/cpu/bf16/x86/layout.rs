//! Sizes of packed operands.

/// Values of a vector, and pairs of a chunk: panels are chunks one after the other.
pub(crate) const LANES: usize = 16;
/// Columns of a panel of the right operand.
pub(super) const COLUMNS: usize = 2 * LANES;
/// Cache lines of a chunk of a panel of the right operand: 16 pairs times 32 columns.
pub(super) const RIGHT_CHUNK_LINES: usize = COLUMNS;

/// A vector of pairs, aligned to a cache line: AMX loads tiles three times as fast where no row crosses a cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct CacheLine(pub(crate) [u32; LANES]);
