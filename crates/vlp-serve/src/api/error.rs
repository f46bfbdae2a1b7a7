//! Why a request has no answer.

use serde::Serialize;

use crate::model::ModelError;
use crate::outputs::Head;

/// For programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ErrorCode {
    InvalidRequest,
    InvalidImage,
    UnknownModel,
    UnknownExample,
    UnknownCode,
    UnknownImage,
    MissingHead,
    NotFound,
    MethodNotAllowed,
    Forbidden,
    BodyTooLarge,
    UnsupportedMediaType,
    QueueFull,
    Timeout,
    Stopping,
    Internal,
}

impl ErrorCode {
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::InvalidRequest | Self::InvalidImage => 400,
            Self::Forbidden => 403,
            Self::UnknownModel
            | Self::UnknownExample
            | Self::UnknownCode
            | Self::UnknownImage
            | Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::MissingHead => 409,
            Self::BodyTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::QueueFull => 429,
            Self::Internal => 500,
            Self::Stopping => 503,
            Self::Timeout => 504,
        }
    }
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ApiError {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    /// The wrong field, such as `images[0].base64`.
    pub(crate) field: Option<String>,
}

impl ApiError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            field: None,
        }
    }

    /// A wrong value of a field.
    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::new(ErrorCode::InvalidRequest, message)
        }
    }

    /// A head that a model has not.
    pub(crate) fn missing_head(model: &str, head: Head) -> Self {
        let heads = match head {
            Head::Detect => {
                "finds no objects: its run has no objectives.detection, or it reads text (from_joint)"
            }
            Head::Caption => "generates no captions: its run has no objectives.caption",
            Head::Answer => {
                "answers no questions: its run was not fine-tuned for them (vlp finetune vqa)"
            }
            Head::Match => "scores no texts: its run has no objectives.itm",
            Head::Statement => {
                "judges no statements: its run was not fine-tuned for them (vlp finetune nlvr2)"
            }
            Head::Entail => {
                "judges no hypotheses: its run was not fine-tuned for them (vlp finetune snli-ve)"
            }
            Head::Codes => "has no visual dictionary (model.quantizer); the soho presets have one",
            Head::Attention => "has no attention maps",
            Head::Features => "gives no features",
            Head::Search => {
                "has no search index: build one with vlp index and pass it to vlp serve --index"
            }
        };
        Self::new(ErrorCode::MissingHead, format!("{model} {heads}"))
    }

    /// An error of the server, not of the request.
    pub(crate) fn internal() -> Self {
        Self::new(ErrorCode::Internal, "internal error; see the server's log")
    }

    /// An answer that nobody reads: the client has gone, or got that of a request that took too long.
    pub(crate) fn abandoned() -> Self {
        Self::new(ErrorCode::Timeout, "nobody waits for the answer")
    }

    pub(crate) fn stopping() -> Self {
        Self::new(ErrorCode::Stopping, "the server stops")
    }
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Image(message) => Self {
                code: ErrorCode::InvalidImage,
                ..Self::field("images", message)
            },
            error => Self::new(ErrorCode::Internal, error.to_string()),
        }
    }
}
