//! Resizing and normalization of images.

mod normalize;
mod resize;
mod resized;
mod rule;

pub use normalize::{MEAN, STD, normalize};
pub use resize::{resize, resize_objects};
pub use resized::ResizedImage;
pub use rule::ResizeRule;
