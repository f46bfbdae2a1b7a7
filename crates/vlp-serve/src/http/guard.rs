//! Refuses callers that a web page elsewhere sends: other host names (DNS rebinding) and other origins.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};
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
    match check(&shared.hosts, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(message) => ApiError::new(ErrorCode::Forbidden, message).into_response(),
    }
}

/// The reason to refuse a request with these headers.
fn check(hosts: &Hosts, headers: &HeaderMap) -> Result<(), &'static str> {
    let header = |name| headers.get(name).map(|value: &HeaderValue| value.to_str());
    let Some(Ok(host)) = header(HOST) else {
        return Err("the Host header is missing");
    };
    if !hosts.allows(host) {
        return Err(
            "the Host header is not a name of this server; vlp serve --allow-host adds one",
        );
    }
    match header(ORIGIN) {
        None => Ok(()),
        Some(Ok(origin)) if is_same_origin(origin, host) => Ok(()),
        Some(_) => Err("requests of other origins are refused"),
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
