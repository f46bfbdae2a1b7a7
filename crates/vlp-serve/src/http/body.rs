//! Reads a request's body, up to the limit.

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::api::{ApiError, ErrorCode};
use crate::json;

/// Checks that a body is announced as JSON: browsers send it to another origin only if that allows it.
pub(super) fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let refuse = |message: &str| Err(ApiError::new(ErrorCode::UnsupportedMediaType, message));
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let kind = value.and_then(|value| value.split(';').next());
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return refuse("the Content-Type must be application/json");
    }
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    match encodings.all(|value| value.as_bytes().eq_ignore_ascii_case(b"identity")) {
        true => Ok(()),
        false => refuse("a body with a Content-Encoding is not read; send it uncompressed"),
    }
}

pub(super) async fn read_body(body: Body, most: usize) -> Result<Bytes, ApiError> {
    let too_large = || {
        ApiError::new(
            ErrorCode::BodyTooLarge,
            format!("the body has more than {most} bytes"),
        )
    };
    // What a client announces is refused before it is sent.
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    match Limited::new(body, most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(ApiError::new(
            ErrorCode::InvalidRequest,
            "the body ends early, or its chunks are malformed",
        )),
    }
}

/// Parses a body, naming the field that is wrong.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    json::parse(body).map_err(|error| match error.path.as_str() {
        "" => ApiError::new(ErrorCode::InvalidRequest, error.message),
        path => ApiError::field(path, error.message),
    })
}
