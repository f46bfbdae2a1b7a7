//! By AVX-512 BF16 or AMX: `pack` puts operands in order, `tile` or `tiles` (by `amx`) multiplies, `product` goes through blocks.

mod amx;
mod operand;
pub(crate) mod pack;
mod product;
mod tile;
mod tiles;
mod unit;

pub(crate) use operand::Packed;
pub(crate) use tiles::{CHUNK, EDGE, Tiles};
pub(crate) use unit::Unit;
