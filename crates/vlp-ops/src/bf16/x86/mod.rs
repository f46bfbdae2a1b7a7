//! By AVX-512 BF16: `pack` puts operands in order, `tile` multiplies, `product` goes through blocks.

mod operand;
mod pack;
mod product;
mod tile;

pub(crate) use operand::{PANEL_ROWS, Packed};
