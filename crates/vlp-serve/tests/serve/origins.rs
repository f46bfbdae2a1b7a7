//! Callers that a web page elsewhere sends.

use serde_json::json;

use crate::running::{Running, config};

#[test]
fn only_names_of_the_server_are_answered() {
    let (server, _) =
        Running::start(config().with_allowed_hosts(vec!["box.example".parse().unwrap()]));
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
    assert_eq!(client.get("/healthz").status, 400);
}

#[test]
fn a_host_or_origin_that_is_there_twice_is_refused() {
    let (server, _) = Running::start(config());
    let (host, origin) = (
        server.address.to_string(),
        format!("http://{}", server.address),
    );
    let client = server.client();
    for second in [host, "evil.example".into()] {
        let client = client.clone().with_header("Host", second);
        assert_eq!(client.get("/v1/models").status, 400);
    }
    let client = client.with_header("Origin", origin);
    assert_eq!(client.get("/v1/models").status, 200);
    for second in ["http://evil.example", "null"] {
        let client = client.clone().with_header("Origin", second);
        assert_eq!(client.get("/v1/models").status, 400);
    }
}

#[test]
fn the_host_of_a_target_outranks_the_header() {
    let (server, _) = Running::start(config());
    let client = server.client();
    for (host, status) in [
        (server.address.to_string(), 200),
        ("evil.example".into(), 403),
    ] {
        let head = client.head("GET", &format!("http://{host}/healthz"), 0);
        assert_eq!(client.send(&head, b"").status, status, "{host}");
    }
}

#[test]
fn other_methods_are_told_which_one_a_route_has() {
    let (server, _) = Running::start(config());
    let client = server.client();
    for (method, path, status) in [
        ("HEAD", "/v1/models", 200),
        ("HEAD", "/v1/detect", 405),
        ("OPTIONS", "/v1/detect", 405),
        ("PUT", "/v1/models", 405),
    ] {
        let response = client.send(&client.head(method, path, 0), b"");
        assert_eq!(response.status, status, "{method} {path}");
        assert_eq!(response.header("allow").is_some(), status == 405);
        assert_eq!(response.body.is_empty(), method == "HEAD");
    }
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
