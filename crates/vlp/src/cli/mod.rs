//! Commands with many flags, a file each.

pub(crate) mod data;
pub(crate) mod memory;
pub(crate) mod output;
pub(crate) mod predict;
pub(crate) mod score;
