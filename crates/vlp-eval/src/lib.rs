#![doc = include_str!("../README.md")]

pub mod caption;
pub mod coco_ap;
mod error;
mod ids;
pub mod nlvr2;
pub mod results;
pub mod retrieval;
pub mod vqa;

pub use error::EvalError;
