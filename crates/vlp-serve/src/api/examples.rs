//! `/v1/examples`.

use serde::Serialize;

use crate::model::Model;

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Examples<'a> {
    model: &'a str,
    examples: Vec<Example<'a>>,
}

#[derive(Debug, Serialize)]
struct Example<'a> {
    index: usize,
    name: &'a str,
    width: usize,
    height: usize,
    captions: &'a [String],
    right: Option<usize>,
}

impl<'a> Examples<'a> {
    pub(crate) fn new(model: &'a dyn Model) -> Self {
        let examples = model.examples().iter().enumerate();
        Self {
            model: &model.info().name,
            examples: examples
                .map(|(index, example)| Example {
                    index,
                    name: &example.name,
                    width: example.image.width,
                    height: example.image.height,
                    captions: &example.captions,
                    right: example.right,
                })
                .collect(),
        }
    }
}
