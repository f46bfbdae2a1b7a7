//! `/v1/codes`.

use serde::Deserialize;
use vlp_data::ResizedImage;

use super::context::Context;
use super::error::ApiError;
use super::image_input::ImageInput;
use super::request::{ApiRequest, Results};
use crate::engine::{Task, same_size};
use crate::model::{Model, ModelError};
use crate::outputs::{Code, CodeGrid, Head};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodesRequest {
    model: Option<String>,
    images: Vec<ImageInput>,
}

pub(crate) struct CodesTask {
    image: ResizedImage,
}

impl ApiRequest for CodesRequest {
    type Task = CodesTask;
    type Answer = Results<CodeGrid>;
    const HEAD: Head = Head::Codes;

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn tasks(self, context: &Context<'_>) -> Result<Vec<CodesTask>, ApiError> {
        let images = context.images(&self.images)?.into_iter();
        Ok(images.map(|image| CodesTask { image }).collect())
    }

    fn answer(model: &str, outputs: Vec<CodeGrid>) -> Results<CodeGrid> {
        Results::new(model, outputs)
    }
}

impl Task for CodesTask {
    type Output = CodeGrid;
    const NAME: &'static str = "codes";

    fn joins(&self, other: &Self, model: &dyn Model) -> bool {
        same_size(model, &self.image, &other.image)
    }

    fn run(model: &dyn Model, batch: &[&Self]) -> Result<Vec<CodeGrid>, ModelError> {
        let images: Vec<&ResizedImage> = batch.iter().map(|task| &task.image).collect();
        model.codes(&images)
    }
}

/// What one code stands for.
pub(crate) struct CodeTask {
    pub(crate) code: usize,
}

impl Task for CodeTask {
    type Output = Code;
    const NAME: &'static str = "code";

    fn joins(&self, _: &Self, _: &dyn Model) -> bool {
        true
    }

    fn run(model: &dyn Model, batch: &[&Self]) -> Result<Vec<Code>, ModelError> {
        batch.iter().map(|task| model.code(task.code)).collect()
    }
}
