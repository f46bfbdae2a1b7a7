//! A connection that is kept open.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// A connection to a server.
pub(super) struct Client {
    address: String,
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(super) fn connect(address: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).map_err(|e| format!("{address}: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        Ok(Self {
            address: address.into(),
            stream: BufReader::new(stream),
        })
    }

    pub(super) fn get(&mut self, path: &str) -> Result<Value, String> {
        self.call("GET", path, "")
    }

    pub(super) fn post(&mut self, path: &str, body: &Value) -> Result<Value, String> {
        self.call("POST", path, &body.to_string())
    }

    fn call(&mut self, method: &str, path: &str, body: &str) -> Result<Value, String> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let answer = self.exchange(request.as_bytes());
        let (status, body) = answer.map_err(|e| format!("{method} {path}: {e}"))?;
        match status.as_str() {
            "200" => serde_json::from_slice(&body).map_err(|e| e.to_string()),
            _ => Err(format!(
                "{method} {path}: {status} {}",
                String::from_utf8_lossy(&body)
            )),
        }
    }

    fn exchange(&mut self, request: &[u8]) -> std::io::Result<(String, Vec<u8>)> {
        self.stream.get_mut().write_all(request)?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(std::io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, body))
    }
}
