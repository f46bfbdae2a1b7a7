//! Limits of size, time and number.

use std::thread;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use vlp_serve::ServeConfig;

use crate::running::{Running, config};

#[test]
fn other_machines_are_not_let_in_by_default() {
    assert!(ServeConfig::default().address.ip().is_loopback());
}

#[test]
fn a_body_above_the_limit_is_refused_before_it_is_read() {
    let (server, _) = Running::start(config().with_max_body_bytes(1000));
    let body = json!({ "images": [{ "base64": "A".repeat(1000) }] });
    let response = server.post("/v1/detect", &body);
    assert_eq!(
        (response.status, response.error().0.as_str()),
        (413, "body_too_large")
    );
    // Without a length as well.
    let client = server
        .client()
        .with_header("Content-Type", "application/json")
        .with_header("Transfer-Encoding", "chunked");
    let chunk = format!("800\r\n{}\r\n0\r\n\r\n", "A".repeat(0x800));
    let response = client.send(&client.head("POST", "/v1/detect", 0), chunk.as_bytes());
    assert_eq!(response.status, 413);
}

/// A PNG file that announces a size and has no pixels.
fn announced(width: u32, height: u32) -> Vec<u8> {
    let mut file = vec![];
    let encoder = png::Encoder::new(&mut file, width, height);
    drop(encoder.write_header().unwrap());
    // Signature and IHDR, then an empty IDAT with its checksum.
    file.truncate(8 + 25);
    file.extend(*b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    file
}

#[test]
fn an_image_above_the_limit_is_refused_before_it_is_decoded() {
    let config = config().with_max_pixels(10_000).with_max_side(1000);
    let (server, _) = Running::start(config);
    for (width, height, limit) in [
        (60_000, 60_000, "on a side"),
        (101, 100, "more than 10000 pixels"),
        (1001, 1, "more than 1000 on a side"),
    ] {
        let file = STANDARD.encode(announced(width, height));
        let response = server.post("/v1/detect", &json!({ "images": [{ "base64": file }] }));
        assert_eq!(response.status, 400);
        assert_eq!(response.error().1.as_deref(), Some("images[0].base64"));
        assert!(response.text().contains(limit), "{}", response.text());
    }
}

#[test]
fn a_full_queue_is_answered_with_429_and_when_to_try_again() {
    let (server, model) = Running::start(config().with_queue(1));
    let gate = json!({ "images": [{ "example": 0 }], "texts": ["gate"] });
    thread::scope(|scope| {
        let waiting = scope.spawn(|| server.post("/v1/match", &gate));
        model.gate.await_arrival();
        let response = server.post("/v1/match", &gate);
        assert_eq!(
            (response.status, response.error().0.as_str()),
            (429, "queue_full")
        );
        assert_eq!(response.header("retry-after"), Some("1"));
        // The rest of the server goes on.
        assert_eq!(server.get("/healthz").status, 200);
        assert_eq!(server.get("/").status, 200);
        model.gate.open();
        waiting.join().unwrap().ok();
    });
    server.post("/v1/match", &gate).ok();
}

#[test]
fn a_request_that_takes_too_long_is_answered_with_504() {
    let timeout = Duration::from_millis(300);
    let (server, model) = Running::start(config().with_timeout(timeout));
    let gate = json!({ "images": [{ "example": 0 }], "texts": ["gate"] });
    let response = server.post("/v1/match", &gate);
    assert_eq!(
        (response.status, response.error().0.as_str()),
        (504, "timeout")
    );
    // A body that does not come is waited for as long.
    let head = server
        .client()
        .with_header("Content-Type", "application/json");
    let head = head.head("POST", "/v1/match", 100);
    let response = server.client().send(&head, b"{");
    assert_eq!(response.status, 504);
    model.gate.open();
    let body = json!({ "images": [{ "example": 0 }], "texts": ["red"] });
    server.post("/v1/match", &body).ok();
}

#[test]
fn tasks_that_nobody_waits_for_leave_the_queue_of_a_busy_model() {
    let timeout = Duration::from_millis(300);
    let (server, model) = Running::start(config().with_timeout(timeout));
    let gate = json!({ "images": [{ "example": 0 }], "texts": ["gate"] });
    // The first is with the model.
    for _ in 0..4 {
        assert_eq!(server.post("/v1/match", &gate).status, 504);
    }
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("vlp_waiting_tasks 1\n"), "{metrics}");
    model.gate.open();
    server.await_tasks(0);
}

#[test]
fn images_of_a_request_that_nobody_waits_for_are_not_decoded_and_hold_its_place_until_then() {
    let config = config()
        .with_timeout(Duration::from_millis(300))
        .with_queue(1);
    let (server, model) = Running::start(config);
    let image = json!({ "base64": crate::color_images::base64_png(2, 1, 0) });
    let response = server.post("/v1/detect", &json!({ "images": vec![image; 3] }));
    assert_eq!(response.status, 504);
    // The first image is still worked on, so the request has not ended.
    let small = json!({ "images": [{ "example": 0 }] });
    assert_eq!(server.post("/v1/detect", &small).status, 429);
    model.resize_gate.open();
    while server.post("/v1/detect", &small).status == 429 {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(model.resize_gate.arrivals(), 1);
    server.post("/v1/detect", &small).ok();
}
