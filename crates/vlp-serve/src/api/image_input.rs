//! Images in requests.

use serde::Deserialize;

/// An image: its file, or the number of an example.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageInput {
    pub(super) base64: Option<String>,
    pub(super) example: Option<usize>,
}

/// Two images that a statement is about.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PairInput {
    pub(super) left: ImageInput,
    pub(super) right: ImageInput,
}
