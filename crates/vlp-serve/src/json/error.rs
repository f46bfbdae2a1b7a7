//! What is wrong in a JSON value, and where.

use std::fmt::{self, Display};

use serde::de;

/// Characters of an unknown name that are repeated to the client.
const NAME_LENGTH: usize = 64;
/// Similarity from which a name is suggested for an unknown one.
const SIMILAR: f64 = 0.7;

/// What is wrong in a JSON value, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonError {
    /// Such as `images[0].base64`; empty for the whole value.
    pub(crate) path: String,
    pub(crate) message: String,
}

impl JsonError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            message: message.into(),
        }
    }

    /// The error in the value of an object's field.
    pub(super) fn in_field(mut self, name: &str) -> Self {
        let name = shortened(name);
        self.path = match self.path.as_str() {
            path if path.is_empty() || path.starts_with('[') => format!("{name}{path}"),
            path => format!("{name}.{path}"),
        };
        self
    }

    /// The error in an element of an array.
    pub(super) fn in_element(mut self, index: usize) -> Self {
        self.path = match self.path.as_str() {
            path if path.is_empty() || path.starts_with('[') => format!("[{index}]{path}"),
            path => format!("[{index}].{path}"),
        };
        self
    }
}

/// An unknown name that a client sent, without the rest of a long one.
pub(crate) fn shortened(name: &str) -> String {
    match name.char_indices().nth(NAME_LENGTH) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}

/// What to say of an unknown name: `unknown field "flor"; did you mean "floor"? Known: ...`
pub(crate) fn unknown(what: &str, name: &str, names: &[&str]) -> String {
    let name = shortened(name);
    let similarity = |other: &&str| strsim::jaro_winkler(&name, other);
    let nearest = names
        .iter()
        .max_by(|a, b| similarity(a).total_cmp(&similarity(b)))
        .filter(|other| similarity(other) > SIMILAR);
    let guess = nearest.map(|other| format!("; did you mean \"{other}\"?"));
    let guess = guess.unwrap_or_else(|| ".".into());
    format!(
        "unknown {what} \"{name}\"{guess} Known: {}",
        names.join(", ")
    )
}

impl Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

impl std::error::Error for JsonError {}

impl de::Error for JsonError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("the field is missing").in_field(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new("duplicate field").in_field(field)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(unknown("field", field, expected)).in_field(field)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(unknown("value", variant, expected))
    }
}
