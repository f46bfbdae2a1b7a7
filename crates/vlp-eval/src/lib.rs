#![doc = include_str!("../README.md")]

pub mod caption;
pub mod coco_ap;
mod error;

pub use error::EvalError;
