//! A unit of work: one image, or one text.

use vlp_data::ResizedImage;

use crate::model::{Model, ModelError};

/// A unit of work of a model.
pub(crate) trait Task: Send + Sized + 'static {
    type Output: Send + 'static;

    /// Its name in the metrics.
    const NAME: &'static str;

    /// The field of a request whose elements are the tasks' images.
    const FIELD: &'static str = "images";

    /// Index of its image in that field; `place` is its own among the tasks of the request.
    fn image_index(&self, place: usize) -> usize {
        place
    }

    /// Rows of the model's batch that it takes.
    fn rows(&self) -> usize {
        1
    }

    /// Whether the model can compute both in one batch without changing either output.
    fn joins(&self, other: &Self, model: &dyn Model) -> bool;

    /// The outputs of a batch, in its order.
    fn run(model: &dyn Model, batch: &[&Self]) -> Result<Vec<Self::Output>, ModelError>;
}

/// Whether two images are padded alike, so that the padding of neither depends on the other.
pub(crate) fn same_size(model: &dyn Model, a: &ResizedImage, b: &ResizedImage) -> bool {
    model.padded_size(a) == model.padded_size(b)
}
