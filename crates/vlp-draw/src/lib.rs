#![doc = include_str!("../README.md")]

mod colour;
mod curve;
mod error;
mod html;
mod masked;
mod overlay;
mod page;
mod picture;
mod png;
mod report;

pub use colour::{Colour, colour_of};
pub use curve::{Curve, curve_svg};
pub use error::{DrawError, PictureError};
pub use page::render;
pub use png::png;
pub use report::{
    BoxKind, DrawnBox, MaskedText, MaskedWord, PictureCard, Prediction, Report, Row, Table,
};
