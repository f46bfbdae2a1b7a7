//! Panics, clients that go, and bytes that are no request.

use std::io::Write;
use std::net::TcpStream;
use std::thread;

use serde_json::json;

use crate::running::{Running, config};

#[test]
fn a_panic_is_a_500_of_its_request_alone() {
    let (server, model) = Running::start(config());
    let body = |text: &str| json!({ "images": [{ "example": 0 }], "texts": [text] });
    thread::scope(|scope| {
        let gate = scope.spawn(|| server.post("/v1/match", &body("gate")));
        model.gate.await_arrival();
        // These three wait for the model, and become one batch.
        let texts = ["red", "panic", "blue"];
        let waiting = texts.map(|text| {
            let server = &server;
            scope.spawn(move || server.post("/v1/match", &body(text)))
        });
        server.await_tasks(3);
        model.gate.open();
        gate.join().unwrap().ok();
        let statuses = waiting.map(|request| request.join().unwrap().status);
        assert_eq!(statuses, [200, 500, 200]);
    });
    server.post("/v1/match", &body("red")).ok();
    let metrics = server.get("/metrics").text();
    assert!(
        metrics.contains("vlp_requests_total{route=\"/v1/match\",status=\"500\"} 1"),
        "{metrics}"
    );
}

#[test]
fn work_of_a_client_that_has_gone_is_dropped() {
    let (server, model) = Running::start(config());
    let body = |text: &str| json!({ "images": [{ "example": 0 }], "texts": [text] });
    thread::scope(|scope| {
        let gate = scope.spawn(|| server.post("/v1/match", &body("gate")));
        model.gate.await_arrival();
        let abandoned = serde_json::to_vec(&body("red")).unwrap();
        let client = server
            .client()
            .with_header("Content-Type", "application/json");
        let mut stream = TcpStream::connect(server.address).unwrap();
        let head = client.head("POST", "/v1/match", abandoned.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&abandoned).unwrap();
        server.await_tasks(1);
        drop(stream);
        while !server
            .get("/metrics")
            .text()
            .contains("vlp_active_requests 1\n")
        {}
        model.gate.open();
        gate.join().unwrap().ok();
    });
    server.post("/v1/match", &body("blue")).ok();
    assert_eq!(*model.batches.lock().unwrap(), [1, 1]);
}

/// Bytes from a linear congruential generator, which print on failure by their seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn noise_does_not_stop_the_server() {
    let (server, _) = Running::start(config());
    let client = server
        .client()
        .with_header("Content-Type", "application/json");
    let valid = json!({ "images": [{ "example": 0 }], "texts": ["red"] }).to_string();
    for seed in 0..200 {
        let bytes = noise(seed, 10 + seed as usize);
        // Not HTTP at all.
        let mut stream = TcpStream::connect(server.address).unwrap();
        let _ = stream.write_all(&bytes);
        drop(stream);
        // A body with some bytes replaced.
        let mut body = valid.clone().into_bytes();
        for pair in bytes.chunks_exact(2).take(3) {
            let place = usize::from(pair[0]) % body.len();
            body[place] = pair[1];
        }
        let response = client.call("POST", "/v1/match", &body);
        assert!(
            [200, 400, 404].contains(&response.status),
            "seed {seed}: {}",
            response.text()
        );
        // A body that ends early.
        let head = client.head("POST", "/v1/match", valid.len());
        let mut stream = TcpStream::connect(server.address).unwrap();
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&valid.as_bytes()[..seed as usize % valid.len()]);
    }
    assert_eq!(server.get("/healthz").ok()["status"], "ok");
}
