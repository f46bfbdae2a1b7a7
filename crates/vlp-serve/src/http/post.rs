//! Requests to a model.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};

use super::admission::Active;
use super::body::{check_content_type, parse, read_body};
use super::query::{Parameters, no_parameters};
use super::respond::json;
use super::shared::Shared;
use crate::api::{ApiError, ApiRequest, Context, find_model};
use crate::engine::{AnyJob, Job, JobError, Task};

/// Answers a request: parses it, queues its tasks and puts their outputs together.
pub(super) async fn post<R: ApiRequest>(
    State(shared): State<Arc<Shared>>,
    Extension(active): Extension<Arc<Active>>,
    query: Parameters,
    request: Request,
) -> Response {
    match answer::<R>(shared, active, query, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn answer<R: ApiRequest>(
    shared: Arc<Shared>,
    active: Arc<Active>,
    query: Parameters,
    request: Request,
) -> Result<Response, ApiError> {
    no_parameters(
        query,
        "; its values, \"model\" among them, are fields of the body",
    )?;
    check_content_type(request.headers())?;
    let body = read_body(request.into_body(), shared.config.max_body_bytes).await?;
    let prepared = Arc::clone(&shared);
    // Parsing and decoding take long: other threads do them, so that connections are not kept waiting.
    let (model, tasks) = blocking(&shared, &active, move |active| {
        let request: R = parse(&body)?;
        let index = find_model(&prepared.models, request.model())?;
        let model = &*prepared.models[index];
        if !model.info().heads.contains(&R::HEAD) {
            return Err(ApiError::missing_head(&model.info().name, R::HEAD));
        }
        let context = Context {
            model,
            config: &prepared.config,
            is_abandoned: &|| active.is_abandoned(),
        };
        Ok((index, request.tasks(&context)?))
    })
    .await??;
    let outputs = compute(&shared, model, tasks).await?;
    let name = shared.models[model].info().name.clone();
    blocking(&shared, &active, move |_| json(&R::answer(&name, outputs))).await
}

/// The outputs of tasks, in their order.
pub(super) async fn compute<T: Task>(
    shared: &Shared,
    model: usize,
    tasks: Vec<T>,
) -> Result<Vec<T::Output>, ApiError> {
    let (mut jobs, mut receivers) = (vec![], vec![]);
    for (place, task) in tasks.into_iter().enumerate() {
        let image = task.image_index(place);
        let (job, receiver) = Job::new(model, task);
        let job: Box<dyn AnyJob> = Box::new(job);
        jobs.push(job);
        receivers.push((image, receiver));
    }
    if !shared.queue.push(jobs) {
        return Err(ApiError::stopping());
    }
    let mut outputs = Vec::with_capacity(receivers.len());
    for (image, receiver) in receivers {
        let output = receiver.await.map_err(|_| ApiError::internal())?;
        outputs.push(output.map_err(|error| match error {
            JobError::Panicked => ApiError::internal(),
            JobError::Model(error) => {
                let error = ApiError::from(error);
                let field = error.field.map(|_| format!("{}[{image}]", T::FIELD));
                ApiError { field, ..error }
            }
        })?);
    }
    Ok(outputs)
}

/// Runs a function on a thread for work, unless its client has gone or timed out; the request counts as active until it ends. A
/// panic in it is an internal error.
pub(super) async fn blocking<T: Send + 'static>(
    shared: &Shared,
    active: &Arc<Active>,
    work: impl FnOnce(&Active) -> T + Send + 'static,
) -> Result<T, ApiError> {
    let active = Arc::clone(active);
    let work = move || (!active.is_abandoned()).then(|| work(&active));
    match tokio::task::spawn_blocking(work).await {
        Ok(Some(output)) => Ok(output),
        Ok(None) => Err(ApiError::abandoned()),
        Err(_) => {
            shared.metrics.panics.inc();
            Err(ApiError::internal())
        }
    }
}
