//! `/v1/caption`.

use serde::{Deserialize, Serialize};
use vlp_data::ResizedImage;

use super::context::{Context, in_range};
use super::error::ApiError;
use super::image_input::ImageInput;
use super::request::{ApiRequest, Results};
use crate::engine::{Task, same_size};
use crate::model::{Model, ModelError};
use crate::outputs::{Caption, CaptionDefaults, CaptionMethod, Head};

/// Maximum number of beams and of samples.
const MAX_CAPTIONS: usize = 16;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaptionRequest {
    model: Option<String>,
    images: Vec<ImageInput>,
    search: Option<Search>,
    sampling: Option<Sampling>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    num_beams: Option<usize>,
    length_penalty: Option<f64>,
    min_new_tokens: Option<usize>,
    max_new_tokens: Option<usize>,
    no_repeat_ngram_size: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sampling {
    count: Option<usize>,
    seed: Option<u64>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<usize>,
    max_new_tokens: Option<usize>,
}

fn between_one_and(field: &str, value: usize, most: usize) -> Result<usize, ApiError> {
    in_range(field, value as f64, 1.0..=most as f64).map(|()| value)
}

impl Search {
    fn method(&self, defaults: &CaptionDefaults) -> Result<CaptionMethod, ApiError> {
        // The limits are for clients: the run's own values may be beyond them.
        let num_beams = match self.num_beams {
            Some(beams) => between_one_and("search.num_beams", beams, MAX_CAPTIONS)?,
            None => defaults.num_beams,
        };
        let tokens = self.max_new_tokens.unwrap_or(defaults.max_new_tokens);
        let most = defaults.max_new_tokens;
        let max_new_tokens = between_one_and("search.max_new_tokens", tokens, most)?;
        let length_penalty = match self.length_penalty {
            Some(penalty) => {
                in_range("search.length_penalty", penalty, -10.0..=10.0)?;
                penalty
            }
            None if num_beams == 1 => 0.0,
            None => defaults.length_penalty,
        };
        let min_new_tokens = match self.min_new_tokens {
            Some(tokens) if tokens > max_new_tokens => {
                let message = format!("{tokens}; use at most max_new_tokens = {max_new_tokens}");
                return Err(ApiError::field("search.min_new_tokens", message));
            }
            Some(tokens) => tokens,
            None => defaults.min_new_tokens.min(max_new_tokens),
        };
        let default_size = defaults.no_repeat_ngram_size;
        let no_repeat_ngram_size = self.no_repeat_ngram_size.unwrap_or(default_size);
        Ok(CaptionMethod::Search {
            num_beams,
            length_penalty,
            min_new_tokens,
            max_new_tokens,
            no_repeat_ngram_size,
        })
    }
}

impl Sampling {
    fn method(&self, defaults: &CaptionDefaults) -> Result<CaptionMethod, ApiError> {
        let count = self.count.unwrap_or(1);
        let temperature = self.temperature.unwrap_or(1.0);
        let top_p = self.top_p.unwrap_or(1.0);
        for (field, value, most) in [
            ("sampling.temperature", temperature, 100.0),
            ("sampling.top_p", top_p, 1.0),
        ] {
            if !(value > 0.0 && value <= most) {
                let message = format!("{value}; use a value above 0, at most {most}");
                return Err(ApiError::field(field, message));
            }
        }
        let tokens = self.max_new_tokens.unwrap_or(defaults.max_new_tokens);
        let most = defaults.max_new_tokens;
        Ok(CaptionMethod::Sampling {
            count: between_one_and("sampling.count", count, MAX_CAPTIONS)?,
            seed: self.seed.unwrap_or(0),
            temperature,
            top_p,
            top_k: self.top_k.unwrap_or(0),
            max_new_tokens: between_one_and("sampling.max_new_tokens", tokens, most)?,
        })
    }
}

pub(crate) struct CaptionTask {
    image: ResizedImage,
    method: CaptionMethod,
    /// Beams or samples of the image.
    rows: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Captioned {
    captions: Vec<Caption>,
}

impl ApiRequest for CaptionRequest {
    type Task = CaptionTask;
    type Answer = Results<Captioned>;
    const HEAD: Head = Head::Caption;

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn tasks(self, context: &Context<'_>) -> Result<Vec<CaptionTask>, ApiError> {
        let info = context.model.info();
        let Some(defaults) = &info.caption else {
            return Err(ApiError::missing_head(&info.name, Self::HEAD));
        };
        let method = match (&self.search, &self.sampling) {
            (None, None) => CaptionMethod::Default,
            (Some(search), None) => search.method(defaults)?,
            (None, Some(sampling)) => sampling.method(defaults)?,
            (Some(_), Some(_)) => {
                let message = "captions are either searched or sampled; leave out sampling";
                return Err(ApiError::field("sampling", message));
            }
        };
        let rows = match method {
            CaptionMethod::Default => defaults.num_beams,
            CaptionMethod::Search { num_beams, .. } => num_beams,
            CaptionMethod::Sampling { count, .. } => count,
        };
        let images = context.images(&self.images)?.into_iter();
        let task = |image| CaptionTask {
            image,
            method: method.clone(),
            rows,
        };
        Ok(images.map(task).collect())
    }

    fn answer(model: &str, outputs: Vec<Captioned>) -> Results<Captioned> {
        Results::new(model, outputs)
    }
}

impl Task for CaptionTask {
    type Output = Captioned;
    const NAME: &'static str = "caption";

    fn rows(&self) -> usize {
        self.rows
    }

    fn joins(&self, other: &Self, model: &dyn Model) -> bool {
        self.method == other.method && same_size(model, &self.image, &other.image)
    }

    fn run(model: &dyn Model, batch: &[&Self]) -> Result<Vec<Captioned>, ModelError> {
        let Some(first) = batch.first() else {
            return Ok(vec![]);
        };
        let images: Vec<&ResizedImage> = batch.iter().map(|task| &task.image).collect();
        let captions = model.caption(&images, &first.method)?.into_iter();
        Ok(captions.map(|captions| Captioned { captions }).collect())
    }
}
