//! `/v1/entail`.

use serde::{Deserialize, Serialize};
use vlp_data::ResizedImage;

use super::context::{Context, at_least_one};
use super::error::ApiError;
use super::image_input::ImageInput;
use super::request::{ApiRequest, Results};
use crate::engine::{Task, same_size};
use crate::model::{Hypotheses, Model, ModelError};
use crate::outputs::{Entailment, Head};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntailRequest {
    model: Option<String>,
    images: Vec<ImageInput>,
    hypotheses: Vec<String>,
    premise: Option<String>,
}

pub(crate) struct EntailTask {
    image: ResizedImage,
    hypotheses: Hypotheses,
}

#[derive(Debug, Serialize)]
pub(crate) struct Entailed {
    hypotheses: Vec<EntailedHypothesis>,
}

#[derive(Debug, Serialize)]
struct EntailedHypothesis {
    hypothesis: String,
    #[serde(flatten)]
    probabilities: Entailment,
}

impl ApiRequest for EntailRequest {
    type Task = EntailTask;
    type Answer = Results<Entailed>;
    const HEAD: Head = Head::Entail;

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn tasks(self, context: &Context<'_>) -> Result<Vec<EntailTask>, ApiError> {
        at_least_one("hypotheses", &self.hypotheses)?;
        context.check_texts("hypotheses", &self.hypotheses)?;
        if let Some(premise) = &self.premise {
            let info = context.model.info();
            if !info.premise {
                let message = format!(
                    "the image alone is the premise of {}: its run was trained without data.premise",
                    info.name
                );
                return Err(ApiError::field("premise", message));
            }
            context.check_text("premise", premise)?;
        }
        let images = context.images(&self.images)?.into_iter();
        let hypotheses = Hypotheses {
            premise: self.premise,
            hypotheses: self.hypotheses,
        };
        let task = |image| EntailTask {
            image,
            hypotheses: hypotheses.clone(),
        };
        Ok(images.map(task).collect())
    }

    fn answer(model: &str, outputs: Vec<Entailed>) -> Results<Entailed> {
        Results::new(model, outputs)
    }
}

impl Task for EntailTask {
    type Output = Entailed;
    const NAME: &'static str = "entail";

    fn rows(&self) -> usize {
        self.hypotheses.hypotheses.len()
    }

    fn joins(&self, other: &Self, model: &dyn Model) -> bool {
        same_size(model, &self.image, &other.image)
    }

    fn run(model: &dyn Model, batch: &[&Self]) -> Result<Vec<Entailed>, ModelError> {
        let asked = batch.iter().map(|task| (&task.image, &task.hypotheses));
        let asked: Vec<(&ResizedImage, &Hypotheses)> = asked.collect();
        let outputs = batch.iter().zip(model.entail(&asked)?);
        let entailed = outputs.map(|(task, probabilities)| {
            let hypotheses = task.hypotheses.hypotheses.iter().zip(probabilities);
            let hypotheses = hypotheses.map(|(hypothesis, probabilities)| EntailedHypothesis {
                hypothesis: hypothesis.clone(),
                probabilities,
            });
            Entailed {
                hypotheses: hypotheses.collect(),
            }
        });
        Ok(entailed.collect())
    }
}
