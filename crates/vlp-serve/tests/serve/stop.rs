//! The end of a server.

use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use serde_json::json;
use vlp_serve::{ServeError, Server};

use crate::colors::{ALL_HEADS, Colors};
use crate::running::{Running, config};

#[test]
fn a_stopped_server_answers_what_it_has_begun_and_lets_nobody_in() {
    let (mut server, model) = Running::start(config());
    let address = server.address;
    let client = server.client();
    let gate = json!({ "images": [{ "example": 0 }], "texts": ["gate"] });
    let waiting = thread::spawn(move || client.post("/v1/match", &gate));
    model.gate.await_arrival();
    server.stop();
    while TcpStream::connect(address).is_ok() {}
    model.gate.open();
    waiting.join().unwrap().ok();
    server.join();
}

#[test]
fn an_address_in_use_and_names_that_are_not_distinct_are_errors() {
    let (server, _) = Running::start(config());
    let model = || Arc::new(Colors::new("colors", &ALL_HEADS));
    let error = Server::bind(vec![model()], config().with_address(server.address));
    assert!(matches!(error, Err(ServeError::Listen { .. })));
    let error = Server::bind(vec![model(), model()], config());
    assert!(matches!(error, Err(ServeError::Names(name)) if name == "colors"));
    assert!(matches!(
        Server::bind(vec![], config()),
        Err(ServeError::NoModel)
    ));
}
