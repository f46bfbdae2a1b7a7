//! `/v1/answer`.

use serde::{Deserialize, Serialize};
use vlp_data::ResizedImage;

use super::context::{Context, at_least_one, in_range};
use super::error::ApiError;
use super::image_input::ImageInput;
use super::request::{ApiRequest, Results};
use crate::engine::{Task, same_size};
use crate::model::{Model, ModelError};
use crate::outputs::{Answer, Head};

/// Maximum number of answers to a question.
const MAX_TOP: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerRequest {
    model: Option<String>,
    images: Vec<ImageInput>,
    questions: Vec<String>,
    #[serde(default = "default_top")]
    top: usize,
}

fn default_top() -> usize {
    5
}

pub(crate) struct AnswerTask {
    image: ResizedImage,
    questions: Vec<String>,
    top: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Answered {
    questions: Vec<AnsweredQuestion>,
}

#[derive(Debug, Serialize)]
struct AnsweredQuestion {
    question: String,
    answers: Vec<Answer>,
}

impl ApiRequest for AnswerRequest {
    type Task = AnswerTask;
    type Answer = Results<Answered>;
    const HEAD: Head = Head::Answer;

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn tasks(self, context: &Context<'_>) -> Result<Vec<AnswerTask>, ApiError> {
        in_range("top", self.top as f64, 1.0..=MAX_TOP as f64)?;
        at_least_one("questions", &self.questions)?;
        context.check_texts("questions", &self.questions)?;
        let images = context.images(&self.images)?.into_iter();
        let task = |image| AnswerTask {
            image,
            questions: self.questions.clone(),
            top: self.top,
        };
        Ok(images.map(task).collect())
    }

    fn answer(model: &str, outputs: Vec<Answered>) -> Results<Answered> {
        Results::new(model, outputs)
    }
}

impl Task for AnswerTask {
    type Output = Answered;
    const NAME: &'static str = "answer";

    fn rows(&self) -> usize {
        self.questions.len()
    }

    fn joins(&self, other: &Self, model: &dyn Model) -> bool {
        same_size(model, &self.image, &other.image)
    }

    fn run(model: &dyn Model, batch: &[&Self]) -> Result<Vec<Answered>, ModelError> {
        let asked = batch
            .iter()
            .map(|task| (&task.image, task.questions.as_slice()));
        let asked: Vec<(&ResizedImage, &[String])> = asked.collect();
        let top = batch.iter().map(|task| task.top).max().unwrap_or_default();
        let outputs = batch.iter().zip(model.answer(&asked, top)?);
        let answered = outputs.map(|(task, answers)| {
            let questions = task.questions.iter().zip(answers);
            let questions = questions.map(|(question, mut answers)| {
                answers.truncate(task.top);
                AnsweredQuestion {
                    question: question.clone(),
                    answers,
                }
            });
            Answered {
                questions: questions.collect(),
            }
        });
        Ok(answered.collect())
    }
}
