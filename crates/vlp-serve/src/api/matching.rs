//! `/v1/match`.

use serde::{Deserialize, Serialize};
use vlp_data::ResizedImage;

use super::context::{Context, at_least_one};
use super::error::ApiError;
use super::image_input::ImageInput;
use super::request::{ApiRequest, Results};
use crate::engine::{Task, same_size};
use crate::model::{Model, ModelError};
use crate::outputs::{Head, MatchScore};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MatchRequest {
    model: Option<String>,
    images: Vec<ImageInput>,
    texts: Vec<String>,
}

pub(crate) struct MatchTask {
    image: ResizedImage,
    texts: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Matched {
    matches: Vec<MatchScore>,
}

impl ApiRequest for MatchRequest {
    type Task = MatchTask;
    type Answer = Results<Matched>;
    const HEAD: Head = Head::Match;

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn tasks(self, context: &Context<'_>) -> Result<Vec<MatchTask>, ApiError> {
        at_least_one("texts", &self.texts)?;
        context.check_texts("texts", &self.texts)?;
        let images = context.images(&self.images)?.into_iter();
        let task = |image| MatchTask {
            image,
            texts: self.texts.clone(),
        };
        Ok(images.map(task).collect())
    }

    fn answer(model: &str, outputs: Vec<Matched>) -> Results<Matched> {
        Results::new(model, outputs)
    }
}

impl Task for MatchTask {
    type Output = Matched;
    const NAME: &'static str = "match";

    fn rows(&self) -> usize {
        self.texts.len()
    }

    fn joins(&self, other: &Self, model: &dyn Model) -> bool {
        same_size(model, &self.image, &other.image)
    }

    fn run(model: &dyn Model, batch: &[&Self]) -> Result<Vec<Matched>, ModelError> {
        let pairs = batch
            .iter()
            .map(|task| (&task.image, task.texts.as_slice()));
        let pairs: Vec<(&ResizedImage, &[String])> = pairs.collect();
        let outputs = model.match_texts(&pairs)?.into_iter();
        Ok(outputs.map(|matches| Matched { matches }).collect())
    }
}
