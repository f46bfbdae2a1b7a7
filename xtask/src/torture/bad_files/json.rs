//! JSON files that are not JSON, or whose fields are others.

use serde_json::{Map, Value};

type Texts = Vec<(String, Vec<u8>)>;

/// A place in a document: keys, and first elements of lists.
type Place = Vec<String>;

/// Values that a field may have wrongly.
const VALUES: [&str; 7] = [
    "null",
    "\"text\"",
    "-1",
    "1e308",
    "[]",
    "{}",
    "18446744073709551615",
];

/// Changes of a document, those of fields `limit` at most.
pub(super) fn texts(file: &[u8], limit: usize) -> Texts {
    let mut changes = whole();
    let Ok(document) = serde_json::from_slice::<Value>(file) else {
        return changes;
    };
    changes.extend(fields(&document, limit, |value| {
        value.to_string().into_bytes()
    }));
    changes
}

/// Changes of a file with a document on each line: of the first one's fields.
pub(super) fn lines(file: &[u8], limit: usize) -> Texts {
    let mut changes = whole();
    let text = String::from_utf8_lossy(file);
    let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let with = |line: &str| format!("{line}\n{rest}").into_bytes();
    for line in ["", "{", "}", "null", "7", "[", "\u{feff}", "{\"a\": NaN}"] {
        changes.push((format!("first line {line:?}"), with(line)));
    }
    if let Ok(document) = serde_json::from_str::<Value>(first) {
        changes.extend(fields(&document, limit, |value| with(&value.to_string())));
    }
    changes
}

/// Documents that no reader takes.
fn whole() -> Texts {
    let texts = [
        "null",
        "7",
        "\"text\"",
        "[]",
        "{}",
        "[[]]",
        "{\"a\": NaN}",
        "[1, 2",
        "{\"a\": 1,}",
        "{'a': 1}",
        "1e999",
        "\"\\ud800\"",
        "{\"a\": 1} {\"a\": 1}",
        "\u{feff}",
        " ",
    ];
    let mut changes: Texts = texts
        .map(|text| (format!("{text:?} alone"), text.into()))
        .into();
    for (name, bracket) in [("lists", "["), ("records", "{\"a\":")] {
        changes.push((
            format!("100,000 {name} in each other"),
            bracket.repeat(100_000).into_bytes(),
        ));
    }
    changes
}

fn fields(document: &Value, limit: usize, file: impl Fn(&Value) -> Vec<u8>) -> Texts {
    let mut places = vec![];
    collect(document, &mut vec![], &mut places);
    let mut changes = vec![];
    for place in places {
        let name = place.join(".");
        for text in VALUES {
            let Ok(value) = serde_json::from_str(text) else {
                continue;
            };
            let mut changed = document.clone();
            if let Some(field) = find(&mut changed, &place) {
                *field = value;
            }
            changes.push((format!("{name} = {text}"), file(&changed)));
        }
        let mut removed = document.clone();
        if let Some((last, above)) = place.split_last()
            && let Some(Value::Object(map)) = find(&mut removed, above)
        {
            map.remove(last);
            changes.push((format!("{name} removed"), file(&removed)));
        }
        let mut doubled = document.clone();
        if let Some(Value::Array(list)) = find(&mut doubled, &place) {
            list.extend(list.first().cloned());
            changes.push((format!("{name} with its first twice"), file(&doubled)));
        }
    }
    let stride = changes.len().div_ceil(limit).max(1);
    changes.into_iter().step_by(stride).collect()
}

fn collect(value: &Value, place: &mut Place, places: &mut Vec<Place>) {
    if !place.is_empty() {
        places.push(place.clone());
    }
    let children: Map<String, Value> = match value {
        Value::Object(map) => map.clone(),
        Value::Array(list) => list
            .first()
            .map(|first| ("0".to_owned(), first.clone()))
            .into_iter()
            .collect(),
        _ => Map::new(),
    };
    for (key, child) in &children {
        place.push(key.clone());
        collect(child, place, places);
        place.pop();
    }
}

fn find<'a>(value: &'a mut Value, place: &[String]) -> Option<&'a mut Value> {
    place.iter().try_fold(value, |value, key| match value {
        Value::Object(map) => map.get_mut(key),
        Value::Array(list) => list.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_changed() {
        let changes = texts(br#"{"a": [{"b": 1}, {"b": 2}]}"#, 1000);
        let change = |name: &str| {
            let bytes = changes.iter().find(|(other, _)| other == name);
            bytes.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
        };
        assert_eq!(
            change("a.0.b = null").as_deref(),
            Some(r#"{"a":[{"b":null},{"b":2}]}"#)
        );
        assert_eq!(
            change("a.0.b removed").as_deref(),
            Some(r#"{"a":[{},{"b":2}]}"#)
        );
        let twice = r#"{"a":[{"b":1},{"b":2},{"b":1}]}"#;
        assert_eq!(change("a with its first twice").as_deref(), Some(twice));
    }
}
