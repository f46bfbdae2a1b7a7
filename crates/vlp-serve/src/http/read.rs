//! Routes that read: models, examples, codes, the document, health, metrics, the page.

use std::sync::Arc;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json as object;

use super::admission::Active;
use super::post::{blocking, compute};
use super::query::{Parameters, no_parameters, parameters};
use super::respond::{json, respond};
use super::shared::Shared;
use crate::api::{ApiError, CodeTask, ErrorCode, Examples, Models, find_model};
use crate::json::{shortened, unknown};
use crate::model::Model;
use crate::outputs::Head;
use crate::page::PageFile;
use crate::png_file::png;

/// What the page may load: its own files and answers, and images that it makes itself.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Number = Result<Path<usize>, PathRejection>;

/// The model that the query of a request names, as `model=NAME`.
fn model_index(shared: &Shared, query: Parameters) -> Result<usize, ApiError> {
    let parameters = parameters(query)?;
    let mut model = None;
    for (name, value) in &parameters {
        if name != "model" {
            let message = unknown("parameter", name, &["model"]);
            return Err(ApiError::field(shortened(name), message));
        }
        if model.replace(value.as_str()).is_some() {
            return Err(ApiError::field("model", "duplicate parameter"));
        }
    }
    find_model(&shared.models, model)
}

fn number(field: &str, number: Number) -> Result<usize, ApiError> {
    let wrong = |_| ApiError::field(field, "a whole number from 0 is needed");
    number.map(|Path(number)| number).map_err(wrong)
}

pub(super) async fn models(
    State(shared): State<Arc<Shared>>,
    query: Parameters,
) -> Result<Response, ApiError> {
    no_parameters(query, "")?;
    let models = shared.models.iter().map(|model| &**model as &dyn Model);
    Ok(json(&Models::new(models, &shared.config)))
}

pub(super) async fn examples(
    State(shared): State<Arc<Shared>>,
    query: Parameters,
) -> Result<Response, ApiError> {
    let index = model_index(&shared, query)?;
    Ok(json(&Examples::new(&*shared.models[index])))
}

pub(super) async fn example(
    State(shared): State<Arc<Shared>>,
    Extension(active): Extension<Arc<Active>>,
    index: Number,
    query: Parameters,
) -> Result<Response, ApiError> {
    let model = model_index(&shared, query)?;
    let index = number("index", index)?;
    let model = Arc::clone(&shared.models[model]);
    let count = model.examples().len();
    if index >= count {
        return Err(ApiError {
            code: ErrorCode::UnknownExample,
            ..ApiError::field(
                "index",
                format!("{index}; the model has {count} examples, counted from 0"),
            )
        });
    }
    let file = blocking(&shared, &active, move |_| {
        png(&model.examples()[index].image)
    })
    .await?;
    let file = file.map_err(|_| ApiError::internal())?;
    Ok(respond(StatusCode::OK, "image/png", file))
}

pub(super) async fn code(
    State(shared): State<Arc<Shared>>,
    Extension(active): Extension<Arc<Active>>,
    code: Number,
    query: Parameters,
) -> Result<Response, ApiError> {
    let model = model_index(&shared, query)?;
    let code = number("code", code)?;
    let info = shared.models[model].info();
    if !info.heads.contains(&Head::Codes) {
        return Err(ApiError::missing_head(&info.name, Head::Codes));
    }
    if code >= info.codes {
        return Err(ApiError {
            code: ErrorCode::UnknownCode,
            ..ApiError::field(
                "code",
                format!("{code}; the dictionary has {} codes", info.codes),
            )
        });
    }
    let outputs = compute(&shared, model, vec![CodeTask { code }]).await?;
    match outputs.into_iter().next() {
        Some(output) => blocking(&shared, &active, move |_| json(&output)).await,
        None => Err(ApiError::internal()),
    }
}

/// The thumbnail of an image of a model's index.
pub(super) async fn indexed_image(
    State(shared): State<Arc<Shared>>,
    Extension(active): Extension<Arc<Active>>,
    image: Number,
    query: Parameters,
) -> Result<Response, ApiError> {
    let model = model_index(&shared, query)?;
    let image = number("image", image)?;
    let model = Arc::clone(&shared.models[model]);
    let info = model.info();
    let Some(search) = info.search else {
        return Err(ApiError::missing_head(&info.name, Head::Search));
    };
    let unknown = |message: String| ApiError {
        code: ErrorCode::UnknownImage,
        ..ApiError::field("image", message)
    };
    if image >= search.images {
        let count = search.images;
        let message = format!("{image}; the index has {count} images, counted from 0");
        return Err(unknown(message));
    }
    let file = blocking(&shared, &active, move |_| model.thumbnail(image)).await??;
    match file {
        Some(file) => Ok(respond(StatusCode::OK, "image/jpeg", file)),
        None => Err(unknown(format!("{image} has no thumbnail in the index"))),
    }
}

pub(super) async fn openapi() -> Response {
    respond(StatusCode::OK, "application/json", crate::OPENAPI)
}

pub(super) async fn health(State(shared): State<Arc<Shared>>) -> Response {
    let status = if shared.is_stopping() {
        "stopping"
    } else {
        "ok"
    };
    json(&object!({ "status": status }))
}

pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    match shared.metrics.text() {
        Ok(text) => respond(StatusCode::OK, "text/plain; version=0.0.4", text),
        Err(_) => ApiError::internal().into_response(),
    }
}

pub(super) fn page_file(file: &PageFile) -> Response {
    let mut response = respond(StatusCode::OK, file.content_type, file.text);
    let policy = HeaderValue::from_static(CONTENT_POLICY);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    response
}

pub(super) async fn not_found() -> ApiError {
    ApiError::new(
        ErrorCode::NotFound,
        "there is nothing here; /openapi.json lists the routes",
    )
}

pub(super) async fn wrong_method() -> ApiError {
    ApiError::new(
        ErrorCode::MethodNotAllowed,
        "method not allowed for this route; /openapi.json lists the methods",
    )
}
