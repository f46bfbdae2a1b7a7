//! A client that checks every answer against the OpenAPI document.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use serde_json::Value;

use crate::schema::check_answer;

/// One request on a connection of its own.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    host: Option<String>,
    headers: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            host: Some(address.to_string()),
            headers: vec![],
        }
    }

    pub(crate) fn with_host(mut self, host: Option<&str>) -> Self {
        self.host = host.map(str::to_owned);
        self
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.call("GET", path, b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Response {
        let client = self.clone().with_header("Content-Type", "application/json");
        client.call("POST", path, &serde_json::to_vec(body).unwrap())
    }

    /// The answer to a request, which must be as the document says.
    pub(crate) fn call(&self, method: &str, path: &str, body: &[u8]) -> Response {
        let response = self.send(&self.head(method, path, body.len()), body);
        check_answer(method, path, &response);
        response
    }

    /// The first lines of a request.
    pub(crate) fn head(&self, method: &str, path: &str, length: usize) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if let Some(host) = &self.host {
            head += &format!("Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if length > 0 {
            head += &format!("Content-Length: {length}\r\n");
        }
        head + "\r\n"
    }

    /// Sends all bytes, also those that the server does not need for its answer, and reads what comes until the server closes
    /// the connection.
    pub(crate) fn send(&self, head: &str, body: &[u8]) -> Response {
        let mut stream = self.start(head, body);
        let mut bytes = vec![];
        stream.read_to_end(&mut bytes).unwrap();
        let _ = stream.shutdown(Shutdown::Both);
        Response::parse(&bytes)
    }

    /// A connection that has sent a request.
    pub(crate) fn start(&self, head: &str, body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        stream
    }
}

impl Response {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Self {
            status: status.parse().unwrap(),
            headers: headers.collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(other, _)| other == name)?;
        Some(value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// Code and field of an error.
    #[track_caller]
    pub(crate) fn error(&self) -> (String, Option<String>) {
        let body = self.json();
        let error = &body["error"];
        (
            error["code"].as_str().unwrap().into(),
            error["field"].as_str().map(str::to_owned),
        )
    }
}
