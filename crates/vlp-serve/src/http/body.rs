//! Reads a request's body, up to the limit.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::api::{ApiError, ErrorCode};

/// Checks that a body is announced as JSON: browsers send it to another origin only if that allows it.
pub(super) fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let kind = value.and_then(|value| value.split(';').next());
    match kind.map(str::trim) {
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            "the Content-Type must be application/json",
        )),
    }
}

pub(super) async fn read_body(body: Body, most: usize) -> Result<Bytes, ApiError> {
    match Limited::new(body, most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::new(
            ErrorCode::BodyTooLarge,
            format!("the body has more than {most} bytes"),
        )),
        Err(error) => Err(ApiError::new(
            ErrorCode::InvalidRequest,
            format!("the body cannot be read: {error}"),
        )),
    }
}

/// Parses a body, naming the field that is wrong.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        match path.as_str() {
            "." | "?" => ApiError::new(ErrorCode::InvalidRequest, error.to_string()),
            _ => ApiError::field(path, error.to_string()),
        }
    })?;
    let end = deserializer.end();
    end.map_err(|error| ApiError::new(ErrorCode::InvalidRequest, error.to_string()))?;
    Ok(value)
}
