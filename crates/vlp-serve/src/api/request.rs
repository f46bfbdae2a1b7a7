//! What the requests of all routes have in common.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::Context;
use super::error::ApiError;
use crate::engine::Task;
use crate::outputs::Head;

/// A request: it becomes tasks, which may be computed in different batches, and their outputs become its answer.
pub(crate) trait ApiRequest: DeserializeOwned + Send + 'static {
    type Task: Task;
    type Answer: Serialize + Send + 'static;

    /// The head that answers it.
    const HEAD: Head;

    fn model(&self) -> Option<&str>;

    /// Checks the request and decodes its images.
    fn tasks(self, context: &Context<'_>) -> Result<Vec<Self::Task>, ApiError>;

    /// The answer from the outputs of all tasks, in their order.
    fn answer(model: &str, outputs: Vec<<Self::Task as Task>::Output>) -> Self::Answer;
}

/// An answer with a result for each image.
#[derive(Debug, Serialize)]
pub(crate) struct Results<T> {
    model: String,
    results: Vec<T>,
}

impl<T> Results<T> {
    pub(super) fn new(model: &str, results: Vec<T>) -> Self {
        Self {
            model: model.into(),
            results,
        }
    }
}
