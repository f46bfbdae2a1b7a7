//! Clients that do not read, that go on sending after their answer, and that do nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use vlp_serve::ServeConfig;

use crate::client::Client;
use crate::running::{Running, config};

/// Bytes of the answer to [`long_request`]: more than the system takes of an answer that nobody reads.
const LONG: usize = 32 << 20;

/// Settings that allow [`long_request`].
fn long_config() -> ServeConfig {
    config().with_max_text_bytes(LONG)
}

/// A request with a long answer: a text that is repeated for each image.
fn long_request(server: &Running) -> TcpStream {
    let images = vec![json!({ "example": 0 }); 16];
    let body = json!({ "images": images, "texts": ["a".repeat(LONG / 16)] });
    start(server, "/v1/match", &body)
}

/// A connection that has sent a request.
fn start(server: &Running, path: &str, body: &Value) -> TcpStream {
    let body = serde_json::to_vec(body).unwrap();
    let client = json_client(server);
    client.start(&client.head("POST", path, body.len()), &body)
}

fn json_client(server: &Running) -> Client {
    let client = server.client();
    client.with_header("Content-Type", "application/json")
}

#[test]
fn a_client_that_reads_nothing_is_disconnected() {
    let config = long_config().with_timeout(Duration::from_secs(3));
    let (server, _) = Running::start(config.with_connections(1));
    let mut stream = long_request(&server);
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    // There is a place for this one once the other is disconnected.
    assert_eq!(server.get("/healthz").status, 200);
    let mut rest = vec![];
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < LONG, "{}", rest.len());
}

#[test]
fn a_client_that_reads_slowly_gets_its_whole_answer() {
    let (server, _) = Running::start(long_config().with_timeout(Duration::from_secs(2)));
    let mut stream = long_request(&server);
    let (mut part, mut count) = (vec![0; 256 << 10], 0);
    loop {
        match stream.read(&mut part).unwrap() {
            0 => break,
            read => count += read,
        }
        // Longer than the limit in all, after what the system takes at once.
        thread::sleep(Duration::from_millis(32));
    }
    assert!(count > LONG, "{count}");
}

#[test]
fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let config = config().with_max_body_bytes(9 << 20).with_queue(1);
    let (server, model) = Running::start(config);
    // More than the system holds for a server that does not read.
    let bytes = |count: usize| vec![b' '; count];
    let fits = bytes(9 << 20);
    let json = json_client(&server);
    let send = |client: &Client, path: &str, body: &[u8]| {
        let head = client.head("POST", path, body.len());
        client.send(&head, body).status
    };
    assert_eq!(send(&server.client(), "/v1/match", &fits), 415);
    assert_eq!(
        send(
            &json.clone().with_host(Some("evil.example")),
            "/v1/match",
            &fits
        ),
        403
    );
    assert_eq!(send(&json, "/nothing", &fits), 404);
    assert_eq!(send(&json, "/v1/models", &fits), 405);
    assert_eq!(send(&json, "/v1/match", &bytes(16 << 20)), 413);
    let gate = json!({ "images": [{ "example": 0 }], "texts": ["gate"] });
    thread::scope(|scope| {
        let waiting = scope.spawn(|| server.post("/v1/match", &gate));
        model.gate.await_arrival();
        assert_eq!(send(&json, "/v1/match", &fits), 429);
        model.gate.open();
        waiting.join().unwrap().ok();
    });
}

#[test]
fn a_body_that_is_announced_as_too_large_is_refused_before_it_is_sent() {
    let (server, _) = Running::start(config());
    let client = json_client(&server).with_header("Expect", "100-continue");
    let response = client.send(&client.head("POST", "/v1/detect", 1 << 40), b"");
    assert_eq!(response.status, 413);
    // One that may come is asked for.
    let body = json!({ "images": [{ "example": 0 }] }).to_string();
    let mut stream = client.start(&client.head("POST", "/v1/detect", body.len()), b"");
    let mut start = [0; 25];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn connections_that_wait_for_their_client_give_way() {
    let (server, _) = Running::start(config().with_connections(3));
    let connect = || TcpStream::connect(server.address).unwrap();
    let (nothing, mut half, mut kept_alive) = (connect(), connect(), connect());
    half.write_all(b"GET /healthz HTTP/1.1\r\nHost: local")
        .unwrap();
    let host = server.address;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n");
    kept_alive.write_all(request.as_bytes()).unwrap();
    let mut start = [0; 12];
    kept_alive.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    let others: Vec<TcpStream> = (0..3).map(|_| connect()).collect();
    assert_eq!(server.get("/healthz").status, 200);
    for mut stream in [nothing, half, kept_alive] {
        let mut rest = vec![];
        match stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    drop(others);
}

#[test]
fn a_connection_with_a_request_does_not_give_way() {
    let (server, model) = Running::start(config().with_connections(1));
    let gate = json!({ "images": [{ "example": 0 }], "texts": ["gate"] });
    let mut first = start(&server, "/v1/match", &gate);
    model.gate.await_arrival();
    let client = server.client();
    let mut second = client.start(&client.head("GET", "/healthz", 0), b"");
    // Longer than an idle one may stay.
    let wait = Duration::from_millis(1500);
    second.set_read_timeout(Some(wait)).unwrap();
    let mut bytes = [0; 12];
    assert!(second.read(&mut bytes).is_err());
    second.set_read_timeout(None).unwrap();
    model.gate.open();
    for stream in [&mut first, &mut second] {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}
