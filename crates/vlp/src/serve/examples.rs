//! Validation images that clients may choose.

use vlp_data::Example;
use vlp_serve::ExampleImage;

/// Up to `most` images of validation examples. Those of pairs are first all left ones, then all right ones. Returns the number
/// of examples too.
pub(super) fn example_images(
    mut examples: Vec<Example>,
    most: usize,
) -> (Vec<ExampleImage>, usize) {
    let has_pairs = |examples: &[Example]| examples.iter().any(|e| e.second_image.is_some());
    if has_pairs(&examples) {
        examples.truncate((most / 2).max(1));
    }
    let count = examples.len();
    let (mut images, mut right_images) = (vec![], vec![]);
    for example in examples {
        let right = example.second_image.map(|second| {
            right_images.push(ExampleImage {
                name: format!("{} (right)", example.name),
                captions: vec![],
                right: None,
                image: second.image,
            });
            count + right_images.len() - 1
        });
        images.push(ExampleImage {
            name: example.name,
            // The text of a downstream task is a question or a statement.
            captions: match example.label {
                None => example.captions,
                Some(_) => vec![],
            },
            right,
            image: example.image,
        });
    }
    images.append(&mut right_images);
    (images, count)
}
