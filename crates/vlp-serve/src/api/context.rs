//! What the checks of a request read.

use std::sync::Arc;

use base64::{DecodeError, Engine, engine::general_purpose::STANDARD};
use vlp_data::{DataError, ResizedImage, decode_image};

use super::error::{ApiError, ErrorCode};
use super::image_input::{ImageInput, PairInput};
use crate::config::ServeConfig;
use crate::model::Model;

/// The model that a request names, and the limits.
pub(crate) struct Context<'a> {
    pub(crate) model: &'a dyn Model,
    pub(crate) config: &'a ServeConfig,
    /// Whether the client has gone or timed out.
    pub(crate) is_abandoned: &'a dyn Fn() -> bool,
}

/// Index of the model called `name`; the first one if a request names none.
pub(crate) fn find_model(models: &[Arc<dyn Model>], name: Option<&str>) -> Result<usize, ApiError> {
    let Some(name) = name else { return Ok(0) };
    let mut names = models.iter().map(|model| model.info().name.as_str());
    if let Some(index) = names.position(|other| other == name) {
        return Ok(index);
    }
    let names = models.iter().map(|model| model.info().name.as_str());
    let names: Vec<&str> = names.collect();
    Err(ApiError {
        code: ErrorCode::UnknownModel,
        ..ApiError::field(
            "model",
            format!("no such model; available: {}", names.join(", ")),
        )
    })
}

impl Context<'_> {
    /// Decodes and resizes the images of a request.
    pub(crate) fn images(&self, inputs: &[ImageInput]) -> Result<Vec<ResizedImage>, ApiError> {
        if inputs.is_empty() {
            return Err(ApiError::field("images", "at least one image is needed"));
        }
        let most = self.config.max_images;
        if inputs.len() > most {
            let message = format!("{} images; at most {most} are allowed", inputs.len());
            return Err(ApiError::field("images", message));
        }
        let images = inputs.iter().enumerate();
        images
            .map(|(index, input)| self.image(input, &format!("images[{index}]")))
            .collect()
    }

    /// Decodes and resizes the images of pairs, left and right.
    pub(crate) fn pairs(&self, pairs: &[PairInput]) -> Result<Vec<[ResizedImage; 2]>, ApiError> {
        at_least_one("pairs", pairs)?;
        let (count, most) = (2 * pairs.len(), self.config.max_images);
        if count > most {
            let message = format!("{count} images; at most {most} are allowed");
            return Err(ApiError::field("pairs", message));
        }
        let pairs = pairs.iter().enumerate();
        let pairs = pairs.map(|(index, pair)| {
            let left = self.image(&pair.left, &format!("pairs[{index}].left"))?;
            let right = self.image(&pair.right, &format!("pairs[{index}].right"))?;
            Ok([left, right])
        });
        pairs.collect()
    }

    fn image(&self, input: &ImageInput, field: &str) -> Result<ResizedImage, ApiError> {
        if (self.is_abandoned)() {
            return Err(ApiError::abandoned());
        }
        match (&input.base64, input.example) {
            (Some(text), None) => self.decode(text, &format!("{field}.base64")),
            (None, Some(index)) => {
                let Some(example) = self.model.examples().get(index) else {
                    let count = self.model.examples().len();
                    return Err(ApiError {
                        code: ErrorCode::UnknownExample,
                        ..ApiError::field(
                            format!("{field}.example"),
                            format!("{index}; the model has {count} examples, counted from 0"),
                        )
                    });
                };
                let resized = self.model.resize(&example.image);
                resized.map_err(|error| ApiError {
                    field: Some(field.to_owned()),
                    ..ApiError::from(error)
                })
            }
            _ => {
                let message = "an image has either base64 or example";
                Err(ApiError::field(field, message))
            }
        }
    }

    fn decode(&self, text: &str, field: &str) -> Result<ResizedImage, ApiError> {
        let invalid = |message: String| ApiError {
            code: ErrorCode::InvalidImage,
            ..ApiError::field(field, message)
        };
        let bytes = STANDARD.decode(text);
        let bytes = bytes.map_err(|error| invalid(describe_base64(text, &error)))?;
        let image = decode_image(&bytes, field, &self.config.image_limits());
        let image = image.map_err(|error: DataError| invalid(error.to_string()))?;
        let resized = self.model.resize(&image);
        resized.map_err(|error| invalid(error.to_string()))
    }

    /// Checks the texts of a field.
    pub(crate) fn check_texts(&self, field: &str, texts: &[String]) -> Result<(), ApiError> {
        self.check_count(field, texts.len())?;
        let mut texts = texts.iter().enumerate();
        texts.try_for_each(|(index, text)| self.check_text(&format!("{field}[{index}]"), text))
    }

    /// Checks a text.
    pub(crate) fn check_text(&self, field: &str, text: &str) -> Result<(), ApiError> {
        let most = self.config.max_text_bytes;
        let message = match text.len() {
            _ if text.trim().is_empty() => "the text is empty".to_owned(),
            length if length > most => format!("{length} bytes; at most {most} are allowed"),
            _ => return Ok(()),
        };
        Err(ApiError::field(field, message))
    }

    /// Checks the number of pairs of an image and an element of a field, whose answers are large.
    pub(crate) fn check_pairs(
        &self,
        field: &str,
        images: usize,
        elements: usize,
    ) -> Result<(), ApiError> {
        let most = self.config.max_texts;
        let pairs = images.saturating_mul(elements);
        if pairs > most {
            let message = format!(
                "{pairs} pairs of an image and a text or query; at most {most} are allowed in a request"
            );
            return Err(ApiError::field(field, message));
        }
        Ok(())
    }

    /// Checks the number of elements of a field.
    pub(crate) fn check_count(&self, field: &str, count: usize) -> Result<(), ApiError> {
        let most = self.config.max_texts;
        if count > most {
            let message = format!("{count} elements; at most {most} are allowed");
            return Err(ApiError::field(field, message));
        }
        Ok(())
    }
}

/// Why a text is not base64.
fn describe_base64(text: &str, error: &DecodeError) -> String {
    if text.trim_start().starts_with("data:") {
        return "a data URL; remove everything up to and including its comma".into();
    }
    let reason = match error {
        DecodeError::InvalidByte(place, b'\n' | b'\r') => format!("a line break at byte {place}"),
        DecodeError::InvalidByte(place, b' ' | b'\t') => format!("a space at byte {place}"),
        DecodeError::InvalidByte(place, b'-' | b'_') => {
            format!("URL-safe base64 at byte {place}")
        }
        DecodeError::InvalidByte(place, _) | DecodeError::InvalidLastSymbol(place, _) => {
            format!("another character at byte {place}")
        }
        DecodeError::InvalidLength(_) => "a part is missing".into(),
        DecodeError::InvalidPadding => "the padding (=) at the end is wrong or missing".into(),
    };
    format!("not base64: {reason}; standard base64 with padding is needed, in one line")
}

/// Checks that a field has an element.
pub(super) fn at_least_one<T>(field: &str, values: &[T]) -> Result<(), ApiError> {
    match values {
        [] => Err(ApiError::field(field, "at least one is needed")),
        _ => Ok(()),
    }
}

/// Checks that a number is in a range.
pub(super) fn in_range(
    field: &str,
    value: f64,
    range: std::ops::RangeInclusive<f64>,
) -> Result<(), ApiError> {
    match range.contains(&value) {
        true => Ok(()),
        false => Err(ApiError::field(
            field,
            format!("{value}; use {} to {}", range.start(), range.end()),
        )),
    }
}
