//! `/v1/attention`.

use serde::Deserialize;
use vlp_data::ResizedImage;

use super::context::Context;
use super::error::ApiError;
use super::image_input::ImageInput;
use super::request::{ApiRequest, Results};
use crate::engine::{Task, same_size};
use crate::model::{Attended, Model, ModelError};
use crate::outputs::{Attention, Head};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttentionRequest {
    model: Option<String>,
    images: Vec<ImageInput>,
    #[serde(default)]
    queries: Vec<usize>,
    #[serde(default)]
    captions: Vec<String>,
    #[serde(default)]
    texts: Vec<String>,
}

pub(crate) struct AttentionTask {
    image: ResizedImage,
    attended: Attended,
}

impl ApiRequest for AttentionRequest {
    type Task = AttentionTask;
    type Answer = Results<Attention>;
    const HEAD: Head = Head::Attention;

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn tasks(self, context: &Context<'_>) -> Result<Vec<AttentionTask>, ApiError> {
        let info = context.model.info();
        for (is_used, head) in [
            (!self.queries.is_empty(), Head::Detect),
            (!self.captions.is_empty(), Head::Caption),
        ] {
            if is_used && !info.heads.contains(&head) {
                return Err(ApiError::missing_head(&info.name, head));
            }
        }
        if self.queries.is_empty() && self.captions.is_empty() && self.texts.is_empty() {
            let message = "at least one query, caption or text is needed";
            return Err(ApiError::field("queries", message));
        }
        context.check_count("queries", self.queries.len())?;
        context.check_texts("captions", &self.captions)?;
        context.check_texts("texts", &self.texts)?;
        let images = self.images.len();
        context.check_pairs("queries", images, self.queries.len())?;
        let field = match self.texts.as_slice() {
            [] => "captions",
            _ => "texts",
        };
        context.check_pairs(field, images, self.captions.len() + self.texts.len())?;
        let count = info.queries;
        let queries = &self.queries;
        if let Some(index) = queries.iter().position(|query| *query >= count) {
            let message = format!("{}; the model has {count} queries", queries[index]);
            return Err(ApiError::field(format!("queries[{index}]"), message));
        }
        let images = context.images(&self.images)?.into_iter();
        let attended = Attended {
            queries: self.queries,
            captions: self.captions,
            texts: self.texts,
        };
        let task = |image| AttentionTask {
            image,
            attended: attended.clone(),
        };
        Ok(images.map(task).collect())
    }

    fn answer(model: &str, outputs: Vec<Attention>) -> Results<Attention> {
        Results::new(model, outputs)
    }
}

impl Task for AttentionTask {
    type Output = Attention;
    const NAME: &'static str = "attention";

    fn rows(&self) -> usize {
        (self.attended.texts.len() + self.attended.captions.len()).max(1)
    }

    fn joins(&self, other: &Self, model: &dyn Model) -> bool {
        same_size(model, &self.image, &other.image)
    }

    fn run(model: &dyn Model, batch: &[&Self]) -> Result<Vec<Attention>, ModelError> {
        let attended = batch.iter().map(|task| (&task.image, &task.attended));
        let attended: Vec<(&ResizedImage, &Attended)> = attended.collect();
        model.attention(&attended)
    }
}
