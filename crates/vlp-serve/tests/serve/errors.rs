//! Errors name the field that is wrong.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::color_images::base64_png;
use crate::colors::{ALL_HEADS, Colors};
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
        ("detect", json!({}), "invalid_request", Some("images")),
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
            json!({ "images": images, "label_space": "color" }),
            "invalid_request",
            Some("label_space"),
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
            "statement",
            json!({ "pairs": [{ "left": image, "right": image }, { "left": image, "right": image }], "statements": ["red"] }),
            "invalid_request",
            Some("pairs"),
        ),
        (
            "statement",
            json!({ "pairs": [{ "left": image, "right": { "example": 3 } }], "statements": ["red"] }),
            "unknown_example",
            Some("pairs[0].right.example"),
        ),
        (
            "statement",
            json!({ "pairs": [{ "left": image, "right": image }], "statements": [] }),
            "invalid_request",
            Some("statements"),
        ),
        (
            "entail",
            json!({ "images": images, "hypotheses": ["red"], "premise": " " }),
            "invalid_request",
            Some("premise"),
        ),
        (
            "entail",
            json!({ "images": images, "hypotheses": [] }),
            "invalid_request",
            Some("hypotheses"),
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
            "attention",
            json!({ "images": [image, image], "texts": ["a", "b"] }),
            "invalid_request",
            Some("texts"),
        ),
        (
            "attention",
            json!({ "images": [image, image], "captions": ["a", "b"] }),
            "invalid_request",
            Some("captions"),
        ),
        (
            "attention",
            json!({ "images": [image, image], "queries": [0, 0] }),
            "invalid_request",
            Some("queries"),
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
        ("GET", "/v1/models?foo=1", 400, "invalid_request"),
        (
            "GET",
            "/v1/examples?model=a&model=a",
            400,
            "invalid_request",
        ),
    ] {
        let response = server.client().call(method, path, b"");
        assert_eq!(response.status, status, "{method} {path}");
        assert_eq!(response.error().0, code, "{method} {path}");
    }
}

#[test]
fn a_model_in_the_query_of_a_request_with_a_body_is_refused() {
    let (server, _) = Running::start(config());
    for (path, field) in [
        ("/v1/detect?model=nothere", "model"),
        ("/v1/detect?flor=1", "flor"),
        ("/v1/search?top=3", "top"),
    ] {
        let response = server.post(path, &json!({ "images": [{ "example": 0 }] }));
        let error = ("invalid_request".to_owned(), Some(field.to_owned()));
        assert_eq!(response.error(), error, "{path}");
        assert!(
            response.text().contains("fields of the body"),
            "{}",
            response.text()
        );
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
        (&json, "null", 400),
        (&json, "{\"images\": [{\"example\": NaN}]}", 400),
        (&json, "{\"images\": [{\"example\": 1e999}]}", 400),
        (&json, "{\"images\": [], \"images\": []}", 400),
        (&json, "{\"model\": \"\\ud800\", \"images\": []}", 400),
        (
            &json.clone().with_header("Content-Encoding", "gzip"),
            "{}",
            415,
        ),
        (
            &json.clone().with_header("Content-Encoding", "identity"),
            "{}",
            400,
        ),
        (&json, "{\"images\":[]} {}", 400),
        (&json, "\u{0}\u{1}", 400),
    ] {
        let response = client.call("POST", "/v1/detect", body.as_bytes());
        assert_eq!(response.status, status, "{body:?}: {}", response.text());
    }
    let deep = "[".repeat(100_000);
    assert_eq!(json.call("POST", "/v1/detect", deep.as_bytes()).status, 400);
}

#[test]
fn base64_that_is_wrong_is_described() {
    let (server, _) = Running::start(config());
    for (text, reason) in [
        ("data:image/png;base64,aGVsbG8=", "a data URL"),
        ("aGVs\nbG8=", "a line break at byte 4"),
        ("aGVs bG8=", "a space at byte 4"),
        ("aGV_bG8=", "URL-safe base64 at byte 3"),
        ("aGVsbG8", "the padding"),
        ("%%%%", "another character at byte 0"),
    ] {
        let body = json!({ "images": [{ "base64": text }] });
        let response = server.post("/v1/detect", &body);
        let error = response.json()["error"].clone();
        assert_eq!(error["field"], "images[0].base64");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(reason), "{text:?}: {message}");
    }
}

#[test]
fn long_names_are_not_repeated_whole() {
    let (server, _) = Running::start(config());
    let mut body = json!({ "images": [{ "example": 0 }] });
    body["x".repeat(1 << 20)] = json!(1);
    let response = server.post("/v1/detect", &body);
    assert_eq!(response.status, 400);
    assert!(response.body.len() < 1000);
}

#[test]
fn a_premise_is_refused_by_a_model_that_reads_none() {
    let model = Colors::new("colors", &ALL_HEADS).without_premise();
    let server = Running::serve(vec![Arc::new(model)], config());
    let mut body = json!({ "images": [{ "example": 0 }], "hypotheses": ["red"] });
    server.post("/v1/entail", &body).ok();
    body["premise"] = json!("one color");
    let response = server.post("/v1/entail", &body);
    let expected = ("invalid_request".into(), Some("premise".into()));
    assert_eq!(response.error(), expected);
    assert!(response.text().contains("trained without data.premise"));
}

#[test]
fn an_image_that_the_model_cannot_read_is_named_by_its_place_among_the_images() {
    let (server, _) = Running::start(config());
    let images = json!([{ "example": 0 }, { "base64": base64_png(1, 3, 0) }]);
    for kinds in [json!(["joint"]), json!(["grid", "text", "joint"])] {
        let body = json!({ "images": images, "texts": ["red", "blue"], "kinds": kinds });
        let expected = ("invalid_image".into(), Some("images[1]".into()));
        assert_eq!(server.post("/v1/features", &body).error(), expected);
    }
}
