//! Every field of every request with values that the OpenAPI document does not allow.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::answers::requests;
use crate::running::{Running, config};
use crate::schema::{DOCUMENT, problem, resolve};

/// Values of every type, at the ends of ranges and within.
fn values() -> Vec<Value> {
    let values = json!([
        null, true, -1, 0, 0.5, 17, 1e9, 1e300, "", "x", [], [1], [null], {}, { "x": 1 }
    ]);
    values.as_array().unwrap().clone()
}

/// A request and the part of it that is made wrong.
struct Walk<'a> {
    server: &'a Running,
    path: &'a str,
    request: Value,
    tried: usize,
}

impl Walk<'_> {
    /// The value at a JSON pointer is replaced, or removed.
    fn with(&self, pointer: &str, value: Option<Value>) -> Value {
        let mut request = self.request.clone();
        let Some((parent, name)) = pointer.rsplit_once('/') else {
            return value.unwrap();
        };
        match (request.pointer_mut(parent).unwrap(), value) {
            (Value::Object(members), Some(value)) => {
                members.insert(name.into(), value);
            }
            (Value::Object(members), None) => {
                members.remove(name);
            }
            (Value::Array(elements), Some(value)) => {
                elements[name.parse::<usize>().unwrap()] = value;
            }
            (other, value) => panic!("{pointer}: {other}, {value:?}"),
        }
        request
    }

    /// A request is refused with 400, and a field at or below `field` named.
    fn refuse(&mut self, request: &Value, field: &str) {
        self.tried += 1;
        let response = self.server.post(self.path, request);
        let context = || format!("{} {request}: {}", self.path, response.text());
        assert_eq!(response.status, 400, "{}", context());
        let (code, named) = response.error();
        assert_eq!(code, "invalid_request", "{}", context());
        let named = named.unwrap_or_default();
        let rest = named.strip_prefix(field).unwrap_or("?");
        assert!(
            rest.is_empty() || rest.starts_with(['.', '[']) || field.is_empty(),
            "{field}: {}",
            context()
        );
        let message = response.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        for word in [
            "expected",
            "invalid type",
            "usize",
            "u64",
            "struct",
            "sequence",
            "map",
        ] {
            assert!(!message.contains(word), "{}", context());
        }
    }

    /// Tries all wrong values of the part that `schema` describes.
    fn part(&mut self, schema: &Value, pointer: &str, field: &str) {
        let schema = resolve(schema);
        for value in values() {
            if problem(schema, &value, field).is_err() {
                let request = self.with(pointer, Some(value));
                self.refuse(&request, field);
            }
        }
        for option in schema["oneOf"].as_array().into_iter().flatten() {
            self.fields(option, pointer, field, false);
        }
        self.fields(schema, pointer, field, true);
        // Of two fields that exclude each other, the request has one.
        let is_there = self.request.pointer(pointer).is_some();
        if let Some(items) = schema.get("items").filter(|_| is_there) {
            self.part(items, &format!("{pointer}/0"), &format!("{field}[0]"));
        }
    }

    /// Tries the fields of an object. Those of one alternative may be missing: the others' may be there.
    fn fields(&mut self, schema: &Value, pointer: &str, field: &str, needs_all: bool) {
        let inside = |name: &str| match field {
            "" => name.to_owned(),
            field => format!("{field}.{name}"),
        };
        let Some(properties) = schema["properties"].as_object() else {
            return;
        };
        let unknown = self.with(&format!("{pointer}/unknown"), Some(json!(1)));
        self.refuse(&unknown, &inside("unknown"));
        let required = schema["required"].as_array().into_iter().flatten();
        for name in required.filter(|_| needs_all) {
            let name = name.as_str().unwrap();
            let request = self.with(&format!("{pointer}/{name}"), None);
            self.refuse(&request, &inside(name));
        }
        for (name, schema) in properties {
            let pointer = format!("{pointer}/{name}");
            let before = self.request.clone();
            if resolve(schema)["type"] == "object" && before.pointer(&pointer).is_none() {
                self.request = self.with(&pointer, Some(json!({})));
            }
            self.part(schema, &pointer, &inside(name));
            self.request = before;
        }
    }
}

#[test]
fn values_that_the_document_does_not_allow_are_refused_with_their_field() {
    let (server, _) = Running::start(config());
    let (mut paths, mut tried) = (BTreeSet::new(), 0);
    for (path, request) in requests() {
        // The first request to a route has neither of two fields that exclude each other.
        if !paths.insert(path) {
            continue;
        }
        let content = &DOCUMENT["paths"][path]["post"]["requestBody"]["content"];
        let mut walk = Walk {
            server: &server,
            path,
            request,
            tried: 0,
        };
        walk.part(&content["application/json"]["schema"], "", "");
        tried += walk.tried;
    }
    assert!(tried > 500, "{tried}");
}
