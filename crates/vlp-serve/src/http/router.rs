//! All routes.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post as post_to};

use super::admission::admit;
use super::guard::guard;
use super::observe::observe;
use super::post::post;
use super::read;
use super::shared::Shared;
use crate::api::{
    AnswerRequest, AttentionRequest, CaptionRequest, CodesRequest, DetectRequest, EntailRequest,
    FeaturesRequest, MatchRequest, SearchRequest, StatementRequest,
};
use crate::page::PAGE;

type Route = MethodRouter<Arc<Shared>>;

/// Routes of models, which count as requests at once.
fn model_routes() -> Vec<(&'static str, Route)> {
    vec![
        ("/v1/examples", get(read::examples)),
        ("/v1/examples/{index}", get(read::example)),
        ("/v1/detect", post_to(post::<DetectRequest>)),
        ("/v1/caption", post_to(post::<CaptionRequest>)),
        ("/v1/answer", post_to(post::<AnswerRequest>)),
        ("/v1/match", post_to(post::<MatchRequest>)),
        ("/v1/statement", post_to(post::<StatementRequest>)),
        ("/v1/entail", post_to(post::<EntailRequest>)),
        ("/v1/attention", post_to(post::<AttentionRequest>)),
        ("/v1/codes", post_to(post::<CodesRequest>)),
        ("/v1/codes/{code}", get(read::code)),
        ("/v1/features", post_to(post::<FeaturesRequest>)),
        ("/v1/search", post_to(post::<SearchRequest>)),
        ("/v1/search/images/{image}", get(read::indexed_image)),
    ]
}

/// Routes that are answered at once, however many requests wait for a model.
fn instant_routes() -> Vec<(&'static str, Route)> {
    vec![
        ("/v1/models", get(read::models)),
        ("/openapi.json", get(read::openapi)),
        ("/healthz", get(read::health)),
        ("/metrics", get(read::metrics)),
    ]
}

fn with_routes(routes: Vec<(&'static str, Route)>) -> Router<Arc<Shared>> {
    let routes = routes.into_iter();
    routes.fold(Router::new(), |router, (path, route)| {
        router.route(path, route.fallback(read::wrong_method))
    })
}

/// The whole interface.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let page = PAGE.iter().map(|file| {
        let route = get(move || async move { read::page_file(file) });
        (file.path, route)
    });
    let admission = from_fn_with_state(Arc::clone(shared), admit);
    with_routes(model_routes())
        .layer(admission)
        .merge(with_routes(instant_routes()))
        .merge(with_routes(page.collect()))
        .fallback(read::not_found)
        .layer(from_fn_with_state(Arc::clone(shared), guard))
        .layer(from_fn_with_state(Arc::clone(shared), observe))
        .with_state(Arc::clone(shared))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_describes_every_route_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(crate::OPENAPI).unwrap();
        let described = document["paths"].as_object().unwrap().keys();
        let described: BTreeSet<&str> = described.map(String::as_str).collect();
        let routes = [model_routes(), instant_routes()].concat();
        let routes = routes.iter().map(|(path, _)| *path);
        // Of the page's files the document has the first.
        let routes: BTreeSet<&str> = routes.chain(["/"]).collect();
        assert_eq!(routes, described);
    }
}
