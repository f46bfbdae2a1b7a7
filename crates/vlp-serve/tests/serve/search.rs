//! Search in an index.

use serde_json::json;
use vlp_serve::{Head, ServeConfig};

use std::sync::Arc;

use crate::colors::{ALL_HEADS, Colors};
use crate::running::{Running, config};

fn start(config: ServeConfig) -> Running {
    Running::start(config).0
}

#[test]
fn hits_belong_to_their_queries() {
    let server = start(config());
    let body = json!({ "texts": ["blue", "green"], "top": 2, "rerank": 1 });
    let results = server.post("/v1/search", &body).ok()["results"].clone();
    for (query, name) in [(0, "blue.png"), (1, "green.png")] {
        let hits = results[query]["images"].as_array().unwrap();
        assert_eq!((hits.len(), &hits[0]["name"]), (2, &json!(name)));
        assert_eq!(hits[0]["probability"], 0.75);
        assert_eq!(hits[1]["probability"], json!(null));
        assert_eq!(results[query]["texts"], json!([]));
        assert_eq!(results[query]["compared"], 4);
        assert_eq!(results[query]["reranked"], 1);
    }
    let body = json!({ "images": [{ "example": 1 }] });
    let results = server.post("/v1/search", &body).ok()["results"].clone();
    assert_eq!(results[0]["texts"][0]["text"], "a green image");
    assert_eq!(results[0]["images"], json!([]));
    // The model cannot put texts in order, so none are by default.
    assert_eq!(results[0]["reranked"], 0);
}

#[test]
fn by_default_as_many_hits_are_put_in_order_as_are_allowed() {
    let server = start(config().with_max_texts(6));
    for (queries, reranked) in [(1, 4), (2, 3), (3, 2)] {
        let body = json!({ "texts": vec!["red"; queries] });
        let results = server.post("/v1/search", &body).ok()["results"].clone();
        assert_eq!(results[queries - 1]["reranked"], reranked, "{queries}");
    }
}

#[test]
fn errors_name_the_field() {
    let server = start(config().with_max_texts(6).with_max_text_bytes(10));
    let image = json!({ "example": 0 });
    for (body, code, field) in [
        (json!({}), "invalid_request", "texts"),
        (
            json!({ "texts": [], "images": [] }),
            "invalid_request",
            "texts",
        ),
        (
            json!({ "texts": ["a"], "images": [image] }),
            "invalid_request",
            "images",
        ),
        (
            json!({ "texts": ["a", " "] }),
            "invalid_request",
            "texts[1]",
        ),
        (
            json!({ "texts": ["01234567890"] }),
            "invalid_request",
            "texts[0]",
        ),
        (
            json!({ "texts": ["a"], "top": 101 }),
            "invalid_request",
            "top",
        ),
        (
            json!({ "texts": ["a"], "rerank": 7 }),
            "invalid_request",
            "rerank",
        ),
        (
            json!({ "texts": ["a", "b"], "rerank": 4 }),
            "invalid_request",
            "rerank",
        ),
        (
            json!({ "images": [image], "rerank": 1 }),
            "invalid_request",
            "rerank",
        ),
        (
            json!({ "images": [image, { "example": 3 }] }),
            "unknown_example",
            "images[1].example",
        ),
    ] {
        let response = server.post("/v1/search", &body);
        assert_eq!(
            response.error(),
            (code.into(), Some(field.into())),
            "{body}"
        );
    }
}

#[test]
fn thumbnails_are_those_of_the_index() {
    let server = start(config());
    let response = server.get("/v1/search/images/2?model=colors");
    assert_eq!(
        (response.status, response.body.as_slice()),
        (200, &[0xff, 0xd8, 2][..])
    );
    for (image, status, code) in [
        ("3", 404, "unknown_image"),
        ("4", 404, "unknown_image"),
        ("-1", 400, "invalid_request"),
        ("..%2F..%2Fetc%2Fpasswd", 400, "invalid_request"),
    ] {
        let response = server.get(&format!("/v1/search/images/{image}"));
        assert_eq!(
            (response.status, response.error().0.as_str()),
            (status, code),
            "{image}"
        );
    }
}

#[test]
fn a_model_without_an_index_says_what_it_needs() {
    let heads: Vec<Head> = ALL_HEADS
        .into_iter()
        .filter(|head| *head != Head::Search)
        .collect();
    let server = Running::serve(vec![Arc::new(Colors::new("colors", &heads))], config());
    let answers = [
        server.post("/v1/search", &json!({ "texts": ["red"] })),
        server.get("/v1/search/images/0"),
    ];
    for response in answers {
        assert_eq!(response.status, 409);
        assert!(
            response.text().contains("vlp serve --index"),
            "{}",
            response.text()
        );
    }
    let models = server.get("/v1/models").ok();
    assert_eq!(models["models"][0]["search"], json!(null));
}
