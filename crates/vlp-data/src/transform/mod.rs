//! From a picture to the numbers a network takes: resize and normalise.

mod normalise;
mod resize;
mod rule;

pub use normalise::{MEAN, STD, normalise};
pub use resize::{resize, resize_objects};
pub use rule::ResizeRule;
