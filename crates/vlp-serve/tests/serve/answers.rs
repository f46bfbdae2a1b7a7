//! What each route answers; the client checks every answer against the document.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use vlp_data::{Limits, decode_image};
use vlp_serve::Head;

use crate::colors::{ALL_HEADS, Colors};
use crate::running::{Running, config};
use crate::schema::{DOCUMENT, check};

/// A request for each route of a model that has a body; also run against a model without heads.
pub(crate) fn requests() -> Vec<(&'static str, Value)> {
    let images = json!([{ "example": 0 }, { "example": 2 }]);
    vec![
        ("/v1/detect", json!({ "images": images, "floor": 0.0 })),
        ("/v1/caption", json!({ "images": images })),
        (
            "/v1/caption",
            json!({ "images": images, "search": { "num_beams": 3 } }),
        ),
        (
            "/v1/caption",
            json!({ "images": images, "sampling": { "count": 2, "top_p": 0.9 } }),
        ),
        (
            "/v1/answer",
            json!({ "images": images, "questions": ["what color?", "why?"], "top": 2 }),
        ),
        (
            "/v1/match",
            json!({ "images": images, "texts": ["red", "blue"] }),
        ),
        (
            "/v1/statement",
            json!({ "pairs": [{ "left": { "example": 0 }, "right": { "example": 2 } }], "statements": ["red blue", "green"] }),
        ),
        (
            "/v1/entail",
            json!({ "images": images, "hypotheses": ["red", "blue"], "premise": "one color" }),
        ),
        (
            "/v1/attention",
            json!({ "images": images, "queries": [0], "captions": ["a red image"], "texts": ["red"] }),
        ),
        ("/v1/codes", json!({ "images": images })),
        (
            "/v1/features",
            json!({ "images": images, "texts": ["red", "blue"], "kinds": ["grid", "text", "joint"] }),
        ),
        (
            "/v1/search",
            json!({ "texts": ["red", "blue"], "top": 3, "rerank": 2 }),
        ),
        ("/v1/search", json!({ "images": images })),
    ]
}

#[test]
fn every_described_route_answers_as_described() {
    let (server, _) = Running::start(config());
    let mut called = BTreeSet::new();
    for (path, body) in requests() {
        let request = &DOCUMENT["paths"][path]["post"]["requestBody"];
        check(
            &request["content"]["application/json"]["schema"],
            &body,
            path,
        );
        server.post(path, &body).ok();
        called.insert(path);
    }
    for (path, template) in [
        ("/", "/"),
        ("/openapi.json", "/openapi.json"),
        ("/healthz", "/healthz"),
        ("/metrics", "/metrics"),
        ("/v1/models", "/v1/models"),
        ("/v1/examples?model=colors", "/v1/examples"),
        ("/v1/examples/1", "/v1/examples/{index}"),
        ("/v1/codes/2?model=colors", "/v1/codes/{code}"),
        ("/v1/search/images/2", "/v1/search/images/{image}"),
    ] {
        let response = server.get(path);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        called.insert(template);
    }
    let described = DOCUMENT["paths"].as_object().unwrap().keys();
    let described: BTreeSet<&str> = described.map(String::as_str).collect();
    assert_eq!(called, described);
    assert_eq!(server.get("/openapi.json").json(), *DOCUMENT);
}

#[test]
fn answers_belong_to_their_images_and_texts() {
    let (server, _) = Running::start(config());
    let images = json!([{ "example": 0 }, { "example": 2 }]);
    let body = server.post(
        "/v1/match",
        &json!({ "images": images, "texts": ["blue", "red"] }),
    );
    let results = body.ok()["results"].clone();
    let probability = |image: usize, text: usize| {
        let matches = &results[image]["matches"][text];
        (
            matches["text"].clone(),
            matches["probability"].as_f64().unwrap() > 0.5,
        )
    };
    assert_eq!(probability(0, 0), (json!("blue"), false));
    assert_eq!(probability(0, 1), (json!("red"), true));
    assert_eq!(probability(1, 0), (json!("blue"), true));

    let body = json!({ "images": images, "floor": 0.5 });
    let results = server.post("/v1/detect", &body).ok()["results"].clone();
    let objects = results[1]["objects"].as_array().unwrap();
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0]["class"], "blue");
    assert_eq!(objects[0]["bbox"], json!([0.0, 0.0, 4.0, 4.0]));
    for (label_space, class) in [("colors", "blue"), ("letters", "b")] {
        let body = json!({ "images": images, "floor": 0.5, "label_space": label_space });
        let results = server.post("/v1/detect", &body).ok()["results"].clone();
        assert_eq!(results[1]["objects"][0]["class"], class);
    }

    let pair = |left: usize, right: usize| json!({ "left": { "example": left }, "right": { "example": right } });
    let body = json!({ "pairs": [pair(0, 2), pair(2, 0)], "statements": ["blue red", "red blue"] });
    let results = server.post("/v1/statement", &body).ok()["results"].clone();
    let is_true = |pair: usize, statement: usize| {
        let judged = &results[pair]["statements"][statement];
        assert_eq!(judged["statement"], body["statements"][statement]);
        judged["probability"].as_f64().unwrap() > 0.5
    };
    let judged = [is_true(0, 0), is_true(0, 1), is_true(1, 0), is_true(1, 1)];
    assert_eq!(judged, [false, true, true, false]);

    for (premise, neutral) in [(None, 0.1), (Some("one color"), 0.0)] {
        let mut body = json!({ "images": images, "hypotheses": ["red", "blue"] });
        if let Some(premise) = premise {
            body["premise"] = json!(premise);
        }
        let results = server.post("/v1/entail", &body).ok()["results"].clone();
        for (image, hypothesis) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let entailed = &results[image]["hypotheses"][hypothesis];
            let probability = |name: &str| entailed[name].as_f64().unwrap();
            assert_eq!(probability("entailment") > 0.5, image == hypothesis);
            assert_eq!(probability("contradiction") > 0.5, image != hypothesis);
            assert!((probability("neutral") - neutral).abs() < 1e-6);
        }
    }

    let body = json!({ "images": images, "texts": ["red", "blue!"], "kinds": ["joint"] });
    let joint = server.post("/v1/features", &body).ok()["joint"].clone();
    let places = joint.as_array().unwrap().iter();
    let places: Vec<[&Value; 3]> = places
        .map(|joint| {
            [
                &joint["image"],
                &joint["text"],
                &joint["text_tokens"]["values"][0],
            ]
        })
        .collect();
    let expected = [(0, 0, 3.0), (0, 1, 5.0), (1, 0, 3.0), (1, 1, 5.0)];
    assert_eq!(
        json!(places),
        json!(expected.map(|(image, text, length)| (image, text, length)))
    );
}

#[test]
fn an_uploaded_image_is_read_as_the_example_it_is() {
    let (server, _) = Running::start(config());
    let file = server.get("/v1/examples/1").body;
    let image = decode_image(&file, "example", &Limits::default()).unwrap();
    assert_eq!(image, crate::color_images::image(4, 4, 1));
    let uploaded = json!({ "images": [{ "base64": STANDARD.encode(&file) }] });
    let example = json!({ "images": [{ "example": 1 }] });
    let answers = [uploaded, example].map(|body| server.post("/v1/detect", &body).ok());
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn models_are_called_by_name_and_offer_what_they_have() {
    let heads = [Head::Match, Head::Attention, Head::Features];
    let all = Arc::new(Colors::new("all", &ALL_HEADS));
    let few = Arc::new(Colors::new("few", &heads));
    let server = Running::serve(vec![all, few], config());
    let models = server.get("/v1/models").ok()["models"].clone();
    assert_eq!(models[0]["name"], "all");
    assert_eq!(
        models[1]["heads"],
        json!(["match", "attention", "features"])
    );
    for (path, mut body) in requests() {
        assert_eq!(server.post(path, &body).ok()["model"], "all");
        body["model"] = json!("few");
        let response = server.post(path, &body);
        let head = path.rsplit('/').next().unwrap();
        let is_missing = !["match", "attention", "features"].contains(&head);
        match is_missing || path == "/v1/attention" {
            // Its request names a query and a caption.
            true => {
                assert_eq!(response.status, 409, "{path}: {}", response.text());
                assert_eq!(response.error().0, "missing_head");
            }
            false => assert_eq!(response.ok()["model"], "few"),
        }
    }
    let body = json!({ "model": "few", "images": [{ "example": 0 }], "texts": ["red"] });
    server.post("/v1/attention", &body).ok();
    assert_eq!(server.get("/v1/codes/0?model=few").status, 409);
    assert_eq!(server.get("/v1/examples?model=none").status, 404);
}
