//! The query of a request.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;

use crate::api::{ApiError, ErrorCode};
use crate::json::shortened;

/// Names and values of a request's query.
pub(super) type Parameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

pub(super) fn parameters(query: Parameters) -> Result<Vec<(String, String)>, ApiError> {
    let wrong = |_| ApiError::new(ErrorCode::InvalidRequest, "the query cannot be read");
    query.map(|Query(parameters)| parameters).map_err(wrong)
}

/// Refuses every parameter, for a route that has none; `hint` says where a request has its values.
pub(super) fn no_parameters(query: Parameters, hint: &str) -> Result<(), ApiError> {
    match parameters(query)?.first() {
        None => Ok(()),
        Some((name, _)) => {
            let name = shortened(name);
            let message = format!("unknown parameter \"{name}\"; this route has none{hint}");
            Err(ApiError::field(name, message))
        }
    }
}
