//! Limits the number of requests at once and their time.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::shared::Shared;
use crate::api::{ApiError, ErrorCode};

/// Passes a request on if fewer than [`queue`](crate::ServeConfig::queue) are active, and answers for it if it takes too long.
pub(super) async fn admit(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    if shared.is_stopping() {
        return ApiError::stopping().into_response();
    }
    let Ok(_permit) = Arc::clone(&shared.admission).try_acquire_owned() else {
        let message = format!(
            "{} requests are active, the most at once; try again later",
            shared.config.queue
        );
        return ApiError::new(ErrorCode::QueueFull, message).into_response();
    };
    let _active = Active::new(&shared);
    match tokio::time::timeout(shared.config.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let seconds = shared.config.timeout.as_secs_f64();
            let message = format!("the request took more than {seconds} seconds");
            ApiError::new(ErrorCode::Timeout, message).into_response()
        }
    }
}

/// Counts an active request, also one whose client goes.
struct Active<'a>(&'a Shared);

impl<'a> Active<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.metrics.active.inc();
        Self(shared)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.metrics.active.dec();
    }
}
