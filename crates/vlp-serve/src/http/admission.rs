//! Limits the number of requests at once and their time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::OwnedSemaphorePermit;

use super::shared::Shared;
use crate::api::{ApiError, ErrorCode};

/// A request that counts as one at once for as long as anything works for it, also after its client has gone.
pub(crate) struct Active {
    shared: Arc<Shared>,
    is_abandoned: AtomicBool,
    _permit: OwnedSemaphorePermit,
}

impl Active {
    /// Whether nobody waits for the answer: the client has gone, or the request took too long.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Relaxed)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.shared.metrics.active.dec();
    }
}

/// Passes a request on if fewer than [`queue`](crate::ServeConfig::queue) are active, and answers for it if it takes too long.
pub(super) async fn admit(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    if shared.is_stopping() {
        return ApiError::stopping().into_response();
    }
    let Ok(permit) = Arc::clone(&shared.admission).try_acquire_owned() else {
        let message = format!(
            "{} requests are active, the most at once; try again later",
            shared.config.queue
        );
        return ApiError::new(ErrorCode::QueueFull, message).into_response();
    };
    shared.metrics.active.inc();
    let active = Arc::new(Active {
        shared: Arc::clone(&shared),
        is_abandoned: AtomicBool::new(false),
        _permit: permit,
    });
    request.extensions_mut().insert(Arc::clone(&active));
    // Dropped with this future if the client goes.
    let _abandon = Abandon(active);
    match tokio::time::timeout(shared.config.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let seconds = shared.config.timeout.as_secs_f64();
            let message = format!("the request took more than {seconds} seconds");
            ApiError::new(ErrorCode::Timeout, message).into_response()
        }
    }
}

/// Tells what still works for the request that it need not go on.
struct Abandon(Arc<Active>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.is_abandoned.store(true, Ordering::Relaxed);
    }
}
