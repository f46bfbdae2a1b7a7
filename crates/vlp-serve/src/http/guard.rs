//! Refuses callers that a web page elsewhere sends: other host names (DNS rebinding) and other origins.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::hosts::Hosts;
use super::shared::Shared;
use crate::api::{ApiError, ErrorCode};

/// Whether a page of `origin` is the server's own, called by the same name.
fn is_same_origin(origin: &str, host: &str) -> bool {
    let authority = ["http://", "https://"]
        .iter()
        .find_map(|scheme| origin.strip_prefix(scheme));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

pub(super) async fn guard(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    match check(&shared.hosts, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// The reason to refuse a request with this target and these headers.
fn check(hosts: &Hosts, target: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let refuse = |message: &str| Err(ApiError::new(ErrorCode::Forbidden, message));
    let Some(host) = single(headers, HOST, "Host")? else {
        let message = "the Host header is missing";
        return Err(ApiError::new(ErrorCode::InvalidRequest, message));
    };
    // A target with a host of its own outranks the header.
    let host = target.authority().map_or(host, |host| host.as_str());
    if !hosts.allows(host) {
        return refuse(
            "the Host header is not a name of this server; vlp serve --allow-host adds one",
        );
    }
    match single(headers, ORIGIN, "Origin")? {
        Some(origin) if !is_same_origin(origin, host) => {
            refuse("requests of other origins are refused")
        }
        _ => Ok(()),
    }
}

/// The value of a header that a request has at most once: what stands before the server may have read another one.
fn single<'a>(
    headers: &'a HeaderMap,
    header: HeaderName,
    name: &str,
) -> Result<Option<&'a str>, ApiError> {
    let mut values = headers.get_all(header).iter();
    match (values.next(), values.next()) {
        // Bytes that are no text are no name either.
        (value, None) => Ok(value.map(|value| value.to_str().unwrap_or_default())),
        _ => Err(ApiError::new(
            ErrorCode::InvalidRequest,
            format!("the request has more than one {name} header"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_the_host_and_port_of_the_request() {
        assert!(is_same_origin("http://localhost:8008", "localhost:8008"));
        assert!(!is_same_origin("http://localhost:9000", "localhost:8008"));
        assert!(!is_same_origin("null", "localhost:8008"));
        assert!(!is_same_origin("http://evil.example", "localhost:8008"));
    }
}
