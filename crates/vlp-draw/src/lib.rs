#![doc = include_str!("../README.md")]

mod bars;
mod colour;
mod curve;
mod dictionary;
mod error;
mod font;
mod grid;
mod heat;
mod html;
mod masked;
mod overlay;
mod page;
mod palette;
mod picture;
mod place;
mod png;
mod prediction;
mod raster;
mod report;
mod samples;
mod shell;
mod shot;

pub use colour::{Colour, colour_of};
pub use curve::{Curve, curve_svg};
pub use dictionary::{
    CODES_SHOWN, CodeCard, CodeMap, DictionaryPage, PATCHES_SHOWN, Patch, WORDS_SHOWN,
    render_dictionary,
};
pub use error::{DrawError, PictureError};
pub use grid::CodeGrid;
pub use heat::Heat;
pub use page::render;
pub use palette::{CODE_COLOURS, code_colours};
pub use png::png;
pub use prediction::{PredictedPicture, PredictionPage, Question, render_prediction};
pub use raster::draw_boxes;
pub use report::{
    BoxKind, DrawnBox, MaskedText, MaskedWord, PictureCard, Prediction, Report, Row, Table,
};
pub use samples::{Histogram, SampleCard, SamplePicture, SamplesPage, render_samples};
