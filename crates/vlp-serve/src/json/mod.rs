//! Reads requests from JSON as the OpenAPI document describes them: objects as objects, no null for an absent field, no field
//! twice; and says what is wrong in the words of JSON.

mod error;
mod typed;
mod value;

use serde::de::DeserializeOwned;

use error::JsonError;
pub(crate) use error::{shortened, unknown};

/// A request from a body.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, JsonError> {
    T::deserialize(typed::Typed(value::read(body)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Request {
        images: Vec<Image>,
        floor: Option<f64>,
        #[serde(default)]
        kinds: Vec<Kind>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Image {
        example: usize,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Grid,
        Text,
    }

    #[test]
    fn a_request_is_read() {
        let text =
            br#"{"images": [{"example": 2}, {"example": 3.0}], "floor": 1e-1, "kinds": ["text"]}"#;
        let request: Request = parse(text).unwrap();
        let images = vec![Image { example: 2 }, Image { example: 3 }];
        let kinds = vec![Kind::Text];
        let floor = Some(0.1);
        let expected = Request {
            images,
            floor,
            kinds,
        };
        assert_eq!(request, expected);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let many = format!("[{}1]", "1,".repeat(100_000));
        let deep = "[".repeat(1000);
        for (text, path, message) in [
            ("", "", "the body is empty; an object is needed"),
            (
                "{",
                "",
                "the body is not JSON: it ends early, at line 1, column 1",
            ),
            (
                "{\"images\": NaN}",
                "",
                "the body is not JSON: expected value, line 1, column 12",
            ),
            (
                "{\"floor\": 1e999}",
                "",
                "the body is not JSON: number out of range, line 1, column 15",
            ),
            (
                "{}\n{}",
                "",
                "the body is not JSON: trailing characters, line 2, column 1",
            ),
            (
                r#"{"model": "\ud800"}"#,
                "",
                "the body is not JSON: half of a \\u escape or of a surrogate pair, line 1, column 18",
            ),
            (
                &deep,
                "",
                "the body has arrays and objects in more than 127 others",
            ),
            (&many, "", "the body has more than 100000 values"),
            ("[]", "", "an array; an object is needed"),
            ("{}", "images", "the field is missing"),
            (
                r#"{"images": {}}"#,
                "images",
                "an object; an array is needed",
            ),
            (r#"{"images": null}"#, "images", "null; an array is needed"),
            (
                r#"{"images": [[2]]}"#,
                "images[0]",
                "an array; an object is needed",
            ),
            (
                r#"{"images": [{}]}"#,
                "images[0].example",
                "the field is missing",
            ),
            (
                r#"{"images": [{"example": -1}]}"#,
                "images[0].example",
                "-1; a whole number from 0 is needed",
            ),
            (
                r#"{"images": [{"example": 0.5}]}"#,
                "images[0].example",
                "0.5; a whole number from 0 is needed",
            ),
            (
                r#"{"images": [], "floor": null}"#,
                "floor",
                "null; a number is needed",
            ),
            (
                r#"{"images": [], "floor": "1"}"#,
                "floor",
                "a string; a number is needed",
            ),
            (
                r#"{"images": [], "images": []}"#,
                "images",
                "duplicate field",
            ),
            (
                r#"{"images": [], "flor": 1}"#,
                "flor",
                "unknown field \"flor\"; did you mean \"floor\"? Known: images, floor, kinds",
            ),
            (
                r#"{"images": [], "kinds": ["grd"]}"#,
                "kinds[0]",
                "unknown value \"grd\"; did you mean \"grid\"? Known: grid, text",
            ),
            (
                r#"{"images": [], "kinds": [3]}"#,
                "kinds[0]",
                "3; one of grid, text is needed",
            ),
        ] {
            let error = parse::<Request>(text.as_bytes()).unwrap_err();
            assert_eq!(
                (error.path.as_str(), error.message.as_str()),
                (path, message)
            );
        }
    }
}
