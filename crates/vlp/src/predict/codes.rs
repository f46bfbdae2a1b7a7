//! Codes of images in a visual dictionary.

use vlp_data::ResizedImage;
use vlp_objectives::EncoderPasses;

use super::attention_map::ImageGrid;
use super::predictor::{Predictor, missing_head};
use crate::error::VlpError;

/// The dictionary code of each grid feature of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageCodes {
    /// Rows of the grid.
    pub rows: usize,
    /// Columns of the grid.
    pub columns: usize,
    /// `rows * columns` codes, row-major.
    pub codes: Vec<usize>,
}

impl Predictor {
    /// The codes of each image. Batches as [`Self::padded_size`] says.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run's model has no visual dictionary, [`VlpError::Objective`] for images too small
    /// for the model.
    pub fn codes_batch(&self, images: &[&ResizedImage]) -> Result<Vec<ImageCodes>, VlpError> {
        if self.trained().config.model.quantizer().is_none() {
            return Err(missing_head("model.quantizer"));
        }
        let encoded = self.encode(images, &[], EncoderPasses::NONE, false)?;
        let codes = encoded.output.codes("codes")?;
        let grids = codes.assignments().iter().map(|assignments| {
            let padding: Vec<bool> = assignments.iter().map(Option::is_none).collect();
            let [rows, columns] = ImageGrid::new(&padding, codes.grid[1]).shape();
            ImageCodes {
                rows,
                columns,
                codes: assignments.iter().flatten().copied().collect(),
            }
        });
        Ok(grids.collect())
    }
}
