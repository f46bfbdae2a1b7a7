//! Checks of answers against the OpenAPI document.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};
use vlp_serve::OPENAPI;

use crate::client::Response;

pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(OPENAPI).unwrap());

/// The path of the document that a path of a request is an instance of.
fn template(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    let matches = |template: &&String| {
        let wanted: Vec<&str> = template.split('/').collect();
        let mut pairs = wanted.iter().zip(&parts);
        wanted.len() == parts.len()
            && pairs.all(|(wanted, part)| wanted.starts_with('{') || wanted == part)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths.keys().find(matches).map(String::as_str)
}

/// Panics unless an answer has a status, a content type and a body that the document allows. A request that the document does
/// not describe must be answered with an error.
pub(crate) fn check_answer(method: &str, path: &str, response: &Response) {
    let operation = template(path).map(|path| &DOCUMENT["paths"][path][method.to_lowercase()]);
    let Some(operation) = operation.filter(|operation| operation.is_object()) else {
        assert!(response.status >= 400, "{method} {path} is not described");
        check(&error_schema(), &response.json(), "error");
        return;
    };
    let answer = &operation["responses"][response.status.to_string()];
    assert!(
        answer.is_object(),
        "{method} {path}: {} is not described: {}",
        response.status,
        response.text()
    );
    let content_type = response.header("content-type").unwrap();
    let content_type = content_type.split(';').next().unwrap();
    let content = &answer["content"][content_type];
    assert!(content.is_object(), "{method} {path}: {content_type}");
    if content_type == "application/json" {
        let place = format!("{method} {path} {}", response.status);
        check(&content["schema"], &response.json(), &place);
    }
    for (name, header) in answer["headers"].as_object().into_iter().flatten() {
        assert_eq!(header["schema"]["type"], "integer");
        let value = response.header(&name.to_lowercase()).unwrap();
        value.parse::<u64>().unwrap();
    }
}

fn error_schema() -> Value {
    json!({ "$ref": "#/components/schemas/Error" })
}

/// The schema that a reference leads to; the schema itself if it is none.
pub(crate) fn resolve(schema: &Value) -> &Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(name) => {
            let target = DOCUMENT.pointer(name.strip_prefix('#').unwrap());
            target.unwrap_or_else(|| panic!("{name} is missing"))
        }
        None => schema,
    }
}

/// Panics unless `value` is as `schema` says; a keyword that is not known here is a mistake of the document.
#[track_caller]
pub(crate) fn check(schema: &Value, value: &Value, place: &str) {
    if let Err(problem) = problem(schema, value, place) {
        panic!("{problem}");
    }
}

pub(crate) fn problem(schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    let schema = schema.as_object().unwrap();
    for (keyword, wanted) in schema {
        // Of numbers alone, as lengths are of arrays.
        let number = |holds: fn(&f64, &f64) -> bool| {
            let limit = wanted.as_f64().unwrap();
            value.as_f64().is_none_or(|value| holds(&value, &limit))
        };
        let length = || value.as_array().map(Vec::len);
        let holds = match keyword.as_str() {
            "description" | "default" | "contentEncoding" => true,
            "$ref" => {
                let target = json!({ "$ref": wanted });
                problem(resolve(&target), value, place)?;
                true
            }
            "type" => is_of_type(wanted, value),
            "enum" => wanted.as_array().unwrap().contains(value),
            "required" => {
                let mut names = wanted.as_array().unwrap().iter();
                !value.is_object() || names.all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "properties" => {
                let properties = wanted.as_object().unwrap();
                check_properties(schema, properties, value, place)?;
                true
            }
            "additionalProperties" => wanted == false,
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                for (index, item) in items {
                    problem(wanted, item, &format!("{place}[{index}]"))?;
                }
                true
            }
            "oneOf" => {
                let options = wanted.as_array().unwrap().iter();
                let fits = options.filter(|option| problem(option, value, place).is_ok());
                fits.count() == 1
            }
            "minItems" => length().is_none_or(|length| length as u64 >= wanted.as_u64().unwrap()),
            "maxItems" => length().is_none_or(|length| length as u64 <= wanted.as_u64().unwrap()),
            "minimum" => number(f64::ge),
            "maximum" => number(f64::le),
            "exclusiveMinimum" => number(f64::gt),
            other => panic!("{place}: keyword {other} is not known to this test"),
        };
        if !holds {
            return Err(format!("{place}: {value} is not {keyword} {wanted}"));
        }
    }
    Ok(())
}

fn check_properties(
    schema: &Map<String, Value>,
    properties: &Map<String, Value>,
    value: &Value,
    place: &str,
) -> Result<(), String> {
    let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    for (name, value) in value.as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        match properties.get(name) {
            Some(schema) => problem(schema, value, &place)?,
            None if is_closed => return Err(format!("{place} is not described")),
            None => {}
        }
    }
    Ok(())
}

fn is_of_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.as_f64().is_some_and(|value| value.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("type {other} is not known to this test"),
    };
    match wanted {
        Value::Array(names) => names.iter().any(is),
        name => is(name),
    }
}
