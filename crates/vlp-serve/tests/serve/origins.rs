//! Callers that a web page elsewhere sends.

use serde_json::json;

use crate::running::{Running, config};

#[test]
fn only_names_of_the_server_are_answered() {
    let (server, _) = Running::start(config().with_allowed_hosts(vec!["box.example".into()]));
    let port = server.address.port();
    for (host, status) in [
        (Some(format!("localhost:{port}")), 200),
        (Some(format!("127.0.0.1:{port}")), 200),
        (Some("box.example".into()), 200),
        (Some(format!("evil.example:{port}")), 403),
        (Some("box.example.evil.example".into()), 403),
    ] {
        let client = server.client().with_host(host.as_deref());
        for path in ["/v1/models", "/", "/v1/examples/0", "/metrics"] {
            assert_eq!(client.get(path).status, status, "{host:?} {path}");
        }
    }
    let client = server.client().with_host(None);
    assert!([400, 403].contains(&client.send(&client.head("GET", "/healthz", 0), b"").status));
}

#[test]
fn other_origins_are_refused() {
    let (server, _) = Running::start(config());
    let body = json!({ "images": [{ "example": 0 }] });
    for (origin, status) in [
        (format!("http://{}", server.address), 200),
        ("http://evil.example".into(), 403),
        ("http://127.0.0.1:1".into(), 403),
        ("null".into(), 403),
    ] {
        let client = server.client().with_header("Origin", origin);
        let response = client.post("/v1/detect", &body);
        assert_eq!(response.status, status);
        assert_eq!(response.header("access-control-allow-origin"), None);
        let preflight = client.with_header("Access-Control-Request-Method", "POST");
        let response = preflight.call("OPTIONS", "/v1/detect", b"");
        assert!(response.status >= 400);
        assert_eq!(response.header("access-control-allow-origin"), None);
    }
}

#[test]
fn answers_may_not_be_embedded_or_guessed_at() {
    let (server, _) = Running::start(config());
    for path in ["/", "/v1/models", "/nothing"] {
        let response = server.get(path);
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        let policy = response.header("cross-origin-resource-policy");
        assert_eq!(policy, Some("same-origin"));
    }
    let page = server.get("/");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
}

#[test]
fn nothing_a_client_names_is_opened() {
    let (server, _) = Running::start(config());
    for name in ["/etc/passwd", "file:///etc/passwd", "http://127.0.0.1/"] {
        for image in [
            json!({ "base64": name }),
            json!({ "path": name }),
            json!({ "url": name }),
            json!({ "example": name }),
        ] {
            let response = server.post("/v1/detect", &json!({ "images": [image] }));
            assert_eq!(response.status, 400, "{image}");
        }
    }
    for path in [
        "/../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "/page/index.html",
        "//etc/passwd",
        "/v1/examples/..%2f..%2fCargo.toml",
    ] {
        assert!([400, 404].contains(&server.get(path).status), "{path}");
    }
}
