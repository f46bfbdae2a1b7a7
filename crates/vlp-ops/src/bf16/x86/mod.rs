//! By AVX-512 BF16 or AMX: `pack` puts operands in order, `tile` or `tiles` multiplies, `product` goes through blocks.

mod operand;
mod pack;
mod product;
mod tile;
mod tiles;
mod unit;

pub(crate) use operand::Packed;
pub(crate) use unit::Unit;
