//! `/v1/models`.

use serde::Serialize;

use crate::config::ServeConfig;
use crate::model::Model;
use crate::outputs::ModelInfo;

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Models<'a> {
    models: Vec<Listed<'a>>,
    limits: Limits,
}

#[derive(Debug, Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    info: &'a ModelInfo,
    examples: usize,
}

#[derive(Debug, Serialize)]
struct Limits {
    max_body_bytes: usize,
    max_images: usize,
    max_texts: usize,
    max_text_bytes: usize,
    max_pixels: usize,
    max_side: usize,
    timeout_seconds: f64,
}

impl<'a> Models<'a> {
    pub(crate) fn new(models: impl Iterator<Item = &'a dyn Model>, config: &ServeConfig) -> Self {
        Self {
            models: models
                .map(|model| Listed {
                    info: model.info(),
                    examples: model.examples().len(),
                })
                .collect(),
            limits: Limits {
                max_body_bytes: config.max_body_bytes,
                max_images: config.max_images,
                max_texts: config.max_texts,
                max_text_bytes: config.max_text_bytes,
                max_pixels: config.max_pixels,
                max_side: config.max_side,
                timeout_seconds: config.timeout.as_secs_f64(),
            },
        }
    }
}
