//! Errors name the field that is wrong.

use serde_json::{Value, json};

use crate::running::{Running, config};

#[test]
fn errors_name_the_field() {
    let config = config().with_max_images(2).with_max_texts(2);
    let (server, _) = Running::start(config.with_max_text_bytes(10));
    let image = json!({ "example": 0 });
    let images = json!([image]);
    let caption = |method: Value| {
        let mut body = method;
        body["images"] = images.clone();
        body
    };
    for (path, body, code, field) in [
        ("detect", json!({}), "invalid_request", None),
        (
            "detect",
            json!({ "images": [] }),
            "invalid_request",
            Some("images"),
        ),
        (
            "detect",
            json!({ "images": 3 }),
            "invalid_request",
            Some("images"),
        ),
        (
            "detect",
            json!({ "images": [image, {}] }),
            "invalid_request",
            Some("images[1]"),
        ),
        (
            "detect",
            json!({ "images": [{ "base64": "", "example": 1 }] }),
            "invalid_request",
            Some("images[0]"),
        ),
        (
            "detect",
            json!({ "images": [image, { "base64": "%%%" }] }),
            "invalid_image",
            Some("images[1].base64"),
        ),
        (
            "detect",
            json!({ "images": [{ "base64": "aGVsbG8=" }] }),
            "invalid_image",
            Some("images[0].base64"),
        ),
        (
            "detect",
            json!({ "images": [{ "example": 3 }] }),
            "unknown_example",
            Some("images[0].example"),
        ),
        (
            "detect",
            json!({ "images": [{ "example": -1 }] }),
            "invalid_request",
            Some("images[0].example"),
        ),
        (
            "detect",
            json!({ "images": [image, image, image] }),
            "invalid_request",
            Some("images"),
        ),
        (
            "detect",
            json!({ "images": images, "floor": 2 }),
            "invalid_request",
            Some("floor"),
        ),
        (
            "detect",
            json!({ "images": images, "flor": 0.1 }),
            "invalid_request",
            Some("flor"),
        ),
        (
            "detect",
            json!({ "model": "none", "images": images }),
            "unknown_model",
            Some("model"),
        ),
        (
            "answer",
            json!({ "images": images, "questions": [] }),
            "invalid_request",
            Some("questions"),
        ),
        (
            "answer",
            json!({ "images": images, "questions": ["a"], "top": 0 }),
            "invalid_request",
            Some("top"),
        ),
        (
            "match",
            json!({ "images": images, "texts": ["a", " "] }),
            "invalid_request",
            Some("texts[1]"),
        ),
        (
            "match",
            json!({ "images": images, "texts": ["01234567890"] }),
            "invalid_request",
            Some("texts[0]"),
        ),
        (
            "match",
            json!({ "images": images, "texts": ["a", "b", "c"] }),
            "invalid_request",
            Some("texts"),
        ),
        (
            "caption",
            caption(json!({ "search": { "num_beams": 17 } })),
            "invalid_request",
            Some("search.num_beams"),
        ),
        (
            "caption",
            caption(json!({ "search": { "max_new_tokens": 4 } })),
            "invalid_request",
            Some("search.max_new_tokens"),
        ),
        (
            "caption",
            caption(json!({ "search": { "min_new_tokens": 3, "max_new_tokens": 2 } })),
            "invalid_request",
            Some("search.min_new_tokens"),
        ),
        (
            "caption",
            caption(json!({ "sampling": { "temperature": 0 } })),
            "invalid_request",
            Some("sampling.temperature"),
        ),
        (
            "caption",
            caption(json!({ "sampling": { "seed": "x" } })),
            "invalid_request",
            Some("sampling.seed"),
        ),
        (
            "caption",
            caption(json!({ "sampling": {}, "search": {} })),
            "invalid_request",
            Some("sampling"),
        ),
        (
            "attention",
            json!({ "images": images }),
            "invalid_request",
            Some("queries"),
        ),
        (
            "attention",
            json!({ "images": images, "queries": [0, 1] }),
            "invalid_request",
            Some("queries[1]"),
        ),
        (
            "features",
            json!({ "images": images, "kinds": [] }),
            "invalid_request",
            Some("kinds"),
        ),
        (
            "features",
            json!({ "images": images, "kinds": ["pixels"] }),
            "invalid_request",
            Some("kinds[0]"),
        ),
        (
            "features",
            json!({ "images": images, "kinds": ["joint"] }),
            "invalid_request",
            Some("texts"),
        ),
    ] {
        let response = server.post(&format!("/v1/{path}"), &body);
        assert_eq!(
            response.error(),
            (code.to_owned(), field.map(str::to_owned)),
            "{body}: {}",
            response.text()
        );
    }
}

#[test]
fn what_is_not_there_is_said_to_be_so() {
    let (server, _) = Running::start(config());
    for (method, path, status, code) in [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/detect", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/codes/3", 404, "unknown_code"),
        ("GET", "/v1/codes/x", 400, "invalid_request"),
        ("GET", "/v1/examples/-1", 400, "invalid_request"),
        ("GET", "/v1/examples/3", 404, "unknown_example"),
        ("GET", "/v1/examples/0?x=1", 400, "invalid_request"),
    ] {
        let response = server.client().call(method, path, b"");
        assert_eq!(response.status, status, "{method} {path}");
        assert_eq!(response.error().0, code, "{method} {path}");
    }
}

#[test]
fn bodies_that_are_not_json_are_refused() {
    let (server, _) = Running::start(config());
    let client = server.client();
    let json = client
        .clone()
        .with_header("Content-Type", "application/json");
    for (client, body, status) in [
        (&client, "{}", 415),
        (&json, "", 400),
        (&json, "{", 400),
        (&json, "[]", 400),
        (&json, "{\"images\":[]} {}", 400),
        (&json, "\u{0}\u{1}", 400),
    ] {
        let response = client.call("POST", "/v1/detect", body.as_bytes());
        assert_eq!(response.status, status, "{body:?}: {}", response.text());
    }
    let deep = "[".repeat(100_000);
    assert_eq!(json.call("POST", "/v1/detect", deep.as_bytes()).status, 400);
}
