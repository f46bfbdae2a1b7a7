//! `/v1/detect`.

use serde::{Deserialize, Serialize};
use vlp_data::ResizedImage;

use super::context::{Context, in_range};
use super::error::ApiError;
use super::image_input::ImageInput;
use super::request::{ApiRequest, Results};
use crate::engine::{Task, same_size};
use crate::model::{Model, ModelError};
use crate::outputs::{Head, Object};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DetectRequest {
    model: Option<String>,
    images: Vec<ImageInput>,
    label_space: Option<String>,
    #[serde(default = "default_floor")]
    floor: f64,
}

fn default_floor() -> f64 {
    0.05
}

pub(crate) struct DetectTask {
    image: ResizedImage,
    /// Index among those of the model.
    label_space: usize,
    floor: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Detection {
    width: usize,
    height: usize,
    objects: Vec<Object>,
}

impl ApiRequest for DetectRequest {
    type Task = DetectTask;
    type Answer = Results<Detection>;
    const HEAD: Head = Head::Detect;

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn tasks(self, context: &Context<'_>) -> Result<Vec<DetectTask>, ApiError> {
        in_range("floor", self.floor, 0.0..=1.0)?;
        let label_space = self.label_space(context)?;
        let images = context.images(&self.images)?.into_iter();
        let tasks = images.map(|image| DetectTask {
            image,
            label_space,
            floor: self.floor,
        });
        Ok(tasks.collect())
    }

    fn answer(model: &str, outputs: Vec<Detection>) -> Results<Detection> {
        Results::new(model, outputs)
    }
}

impl DetectRequest {
    /// Index of the label space that it names; the first one if it names none.
    fn label_space(&self, context: &Context<'_>) -> Result<usize, ApiError> {
        let Some(name) = &self.label_space else {
            return Ok(0);
        };
        let mut names = context.model.info().label_spaces.iter();
        names.position(|space| space.name == *name).ok_or_else(|| {
            let names = context.model.info().label_spaces.iter();
            let names: Vec<String> = names.map(|space| format!("{:?}", space.name)).collect();
            let message = format!("no such label space; available: {}", names.join(", "));
            ApiError::field("label_space", message)
        })
    }
}

impl Task for DetectTask {
    type Output = Detection;
    const NAME: &'static str = "detect";

    fn joins(&self, other: &Self, model: &dyn Model) -> bool {
        self.label_space == other.label_space && same_size(model, &self.image, &other.image)
    }

    fn run(model: &dyn Model, batch: &[&Self]) -> Result<Vec<Detection>, ModelError> {
        let images: Vec<&ResizedImage> = batch.iter().map(|task| &task.image).collect();
        // The tasks of a batch have the same.
        let label_space = batch.first().map_or(0, |task| task.label_space);
        let outputs = batch.iter().zip(model.detect(&images, label_space)?);
        let detections = outputs.map(|(task, mut objects)| {
            objects.retain(|object| object.score >= task.floor as f32);
            Detection {
                width: task.image.original_width,
                height: task.image.original_height,
                objects,
            }
        });
        Ok(detections.collect())
    }
}
