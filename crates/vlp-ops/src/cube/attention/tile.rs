//! Products of blocks of rows, through shared memory.

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

use super::super::layout::UNITS;

/// Rows and columns of a block.
pub(super) const TILE: u32 = 32;
/// Units of a row.
pub(super) const PARTS: u32 = UNITS / TILE;
/// Products of a unit in a block.
pub(super) const PRODUCTS: u32 = TILE / PARTS;
/// Values that a loop over a row or column of a block takes at a time.
pub(super) const STEP: u32 = 4;
/// Distance of the rows of a block in shared memory: units that read a column use different banks.
const PITCH: u32 = TILE + 1;

/// Values of a head's rows that are in shared memory at a time: a multiple of the units of a row.
fn chunk_width(head_width: u32) -> u32 {
    TILE.min(head_width.next_multiple_of(PARTS))
}

fn chunks(head_width: u32) -> u32 {
    head_width.div_ceil(chunk_width(head_width))
}

/// Values of a row's result that a unit sums.
pub(super) fn sums(head_width: u32) -> usize {
    (chunks(head_width) * chunk_width(head_width) / PARTS) as usize
}

/// Rows of a tensor, by the strides of the batch and of the rows.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Strided {
    values: Box<[f32]>,
    batch_stride: u32,
    row_stride: u32,
}

#[cube]
impl Strided {
    pub(super) fn read(&self, batch: u32, row: u32, column: u32) -> f32 {
        self.values[(batch * self.batch_stride + row * self.row_stride + column) as usize]
    }
}

/// The head that a cube works on.
#[derive(CubeType)]
pub(super) struct Head {
    pub(super) batch: u32,
    /// [`STEP`], of which no compiler knows the value: software drivers would unroll the loops over a block, and take minutes
    /// to compile them.
    pub(super) step: u32,
    /// Its first column.
    pub(super) column: u32,
    /// Columns of all heads.
    pub(super) columns: u32,
    #[cube(comptime)]
    pub(super) width: u32,
}

/// The rows of a block: those from `first` on that are below `count`.
#[derive(CubeType)]
pub(super) struct Block {
    pub(super) first: u32,
    pub(super) count: u32,
}

/// Blocks in shared memory.
#[derive(CubeType)]
pub(super) struct Tiles {
    left: Shared<[f32]>,
    right: Shared<[f32]>,
    weights: Shared<[f32]>,
}

#[cube]
impl Tiles {
    pub(super) fn new() -> Tiles {
        let size = comptime!((TILE * PITCH) as usize);
        Tiles {
            left: Shared::<[f32]>::new_slice(size),
            right: Shared::<[f32]>::new_slice(size),
            weights: Shared::<[f32]>::new_slice(size),
        }
    }

    /// Sets the weight of the unit's column number `j` for [`accumulate`].
    pub(super) fn set_weight(&mut self, #[comptime] j: u32, value: f32) {
        self.weights[(unit_row() * PITCH + unit_column(j)) as usize] = value;
    }
}

/// The row of the block that the unit works on.
#[cube]
pub(super) fn unit_row() -> u32 {
    UNIT_POS / PARTS
}

/// The column of the block that the unit's product number `j` is in.
#[cube]
pub(super) fn unit_column(#[comptime] j: u32) -> u32 {
    UNIT_POS % PARTS + j * PARTS
}

/// Loads some columns of a head's rows; zeros beyond the last row or column.
#[cube]
fn load(
    tile: &mut Shared<[f32]>,
    source: &Strided,
    rows: &Block,
    head: &Head,
    #[comptime] chunk: u32,
) {
    let width = comptime!(chunk_width(head.width));
    let first_column = comptime!(chunk * width);
    let valid = comptime!(width.min(head.width - first_column));
    let loads = comptime!(TILE * width / UNITS);
    #[unroll]
    for i in 0..loads {
        let index = UNIT_POS + i * UNITS;
        let row = index / width;
        let column = index % width;
        let mut value = 0.0f32;
        if rows.first + row < rows.count && column < valid {
            let at = head.column + first_column + column;
            value = source.read(head.batch, rows.first + row, at);
        }
        tile[(row * PITCH + column) as usize] = value;
    }
}

/// Products of the unit's row of `left` with its columns' rows of `right`.
#[cube]
pub(super) fn multiply(
    tiles: &mut Tiles,
    products: &mut Array<f32>,
    left: &Strided,
    left_rows: &Block,
    right: &Strided,
    right_rows: &Block,
    head: &Head,
) {
    let width = comptime!(chunk_width(head.width));
    let chunks = comptime!(chunks(head.width));
    #[unroll]
    for j in 0..PRODUCTS {
        products[j as usize] = 0.0f32;
    }
    #[unroll]
    for chunk in 0..chunks {
        // Before the last blocks are written over.
        sync_cube();
        load(&mut tiles.left, left, left_rows, head, chunk);
        load(&mut tiles.right, right, right_rows, head, chunk);
        sync_cube();
        let mut first = 0u32;
        while first < width.runtime() {
            #[unroll]
            for i in 0..STEP {
                let at = first + i;
                let value = tiles.left[(unit_row() * PITCH + at) as usize];
                #[unroll]
                for j in 0..PRODUCTS {
                    products[j as usize] +=
                        value * tiles.right[(unit_column(j) * PITCH + at) as usize];
                }
            }
            first += head.step;
        }
    }
}

/// Adds the unit's part of the product of its row of weights with the rows of `right`.
#[cube]
pub(super) fn accumulate(
    tiles: &mut Tiles,
    sums: &mut Array<f32>,
    right: &Strided,
    right_rows: &Block,
    head: &Head,
) {
    let width = comptime!(chunk_width(head.width));
    let chunks = comptime!(chunks(head.width));
    let parts = comptime!(width / PARTS);
    #[unroll]
    for chunk in 0..chunks {
        // Before the last block is written over, and after the weights are written.
        sync_cube();
        load(&mut tiles.right, right, right_rows, head, chunk);
        sync_cube();
        let mut first = 0u32;
        while first < TILE.runtime() {
            #[unroll]
            for i in 0..STEP {
                let row = first + i;
                let weight = tiles.weights[(unit_row() * PITCH + row) as usize];
                #[unroll]
                for j in 0..parts {
                    sums[(chunk * parts + j) as usize] +=
                        weight * tiles.right[(row * PITCH + unit_column(j)) as usize];
                }
            }
            first += head.step;
        }
    }
}

/// Writes the unit's part of its row, multiplied by `factor`.
#[cube]
pub(super) fn write(output: &mut [f32], sums: &Array<f32>, factor: f32, rows: &Block, head: &Head) {
    let width = comptime!(chunk_width(head.width));
    let chunks = comptime!(chunks(head.width));
    let parts = comptime!(width / PARTS);
    let row = rows.first + unit_row();
    if row < rows.count {
        let start = (head.batch * rows.count + row) * head.columns + head.column;
        #[unroll]
        for chunk in 0..chunks {
            #[unroll]
            for j in 0..parts {
                let column = chunk * width + unit_column(j);
                if column < head.width {
                    output[(start + column) as usize] = sums[(chunk * parts + j) as usize] * factor;
                }
            }
        }
    }
}
