//! Examples: resize, texts and negative captions.

use std::{collections::HashSet, sync::Arc};

use vlp_data::{AnnotatedObject, CaptionChoice, DataError, Example, Examples, ResizeRule, Source};

use crate::{TestSource, all_load, common, config, load_batches, plan};

#[test]
fn examples_are_resized_and_have_the_annotations_of_their_sample() {
    let source: Arc<dyn Source> = Arc::new(common::source(common::samples(50, 64)));
    let resize = ResizeRule::Exact {
        width: 32,
        height: 96,
    };
    let config = config(2, 0).with_plan(plan(10)).with_resize(resize);
    let mut texts = HashSet::new();
    for batch in load_batches(&source, config, 15) {
        assert!(batch.skipped.is_empty());
        for Example {
            key,
            index,
            epoch,
            width,
            height,
            pixels,
            image,
            original_size,
            ..
        } in &batch.examples
        {
            assert_eq!(
                (*width, *height, *original_size, *epoch),
                (32, 96, (64, 64), batch.epoch)
            );
            assert_eq!(
                (image.width, image.height, pixels.len()),
                (32, 96, 3 * 32 * 96)
            );
            assert_eq!(*key, source.key(*index));
        }
        for example in batch.examples {
            let sample = source.load(example.index).unwrap();
            assert_eq!(example.captions, sample.captions);
            let index = example
                .captions
                .iter()
                .position(|c| *c == example.texts[0])
                .unwrap();
            texts.insert((example.key, index));
            let objects = sample.objects.as_ref();
            let objects = objects.map(|o| o.iter().map(AnnotatedObject::from).collect());
            assert_eq!(example.original_objects, objects);
            for (resized, object) in example.objects.unwrap().iter().zip(sample.objects.unwrap()) {
                let [x0, y0, x1, y1] = object.bbox;
                assert_eq!(resized.bbox, [x0 * 0.5, y0 * 1.5, x1 * 0.5, y1 * 1.5]);
            }
        }
    }
    assert!(
        texts.len() > 80,
        "captions differ between epochs: {}",
        texts.len()
    );
}

#[test]
fn texts_repeat_no_caption_before_all_are_selected() {
    let source: Arc<dyn Source> = Arc::new(TestSource::new(10, all_load));
    for (caption, texts_per_image) in [(CaptionChoice::Random, 4), (CaptionChoice::First, 9)] {
        let several = Examples {
            caption,
            texts_per_image,
            ..Examples::new(source.clone(), ResizeRule::Square { side: 8 })
        };
        let single = Examples {
            texts_per_image: 1,
            ..several.clone()
        };
        for index in 0..10 {
            let (example, first) = (
                several.load(index, 3).unwrap(),
                single.load(index, 3).unwrap(),
            );
            assert_eq!(
                (example.texts.len(), example.negative_captions.len()),
                (texts_per_image, texts_per_image)
            );
            // The first text does not depend on the number of texts.
            assert_eq!(
                (&example.texts[0], &example.negative_captions[0]),
                (&first.texts[0], &first.negative_captions[0])
            );
            let round = example.captions.len().min(texts_per_image);
            let distinct: HashSet<_> = example.texts[..round].iter().collect();
            assert_eq!(distinct.len(), round, "{:?}", example.texts);
            if caption == CaptionChoice::First {
                assert_eq!(example.texts[..round], example.captions[..round]);
            }
        }
    }
}

#[test]
fn negative_captions_are_of_other_images() {
    // Ten samples of two images.
    let source: Arc<dyn Source> = Arc::new(TestSource {
        images: 2,
        ..TestSource::new(10, all_load)
    });
    let examples = Examples {
        caption: CaptionChoice::Random,
        ..Examples::new(source, ResizeRule::Square { side: 8 })
    };
    let mut negatives = HashSet::new();
    for (index, epoch) in (0..10).flat_map(|index| (0..6).map(move |epoch| (index, epoch))) {
        let example = examples.load(index, epoch).unwrap();
        assert!(example.texts[0].ends_with(&format!("of {}", example.key)));
        assert!(
            example.negative_captions[0].ends_with(&format!("of {}", 201 - example.key)),
            "{}",
            example.negative_captions[0]
        );
        negatives.insert(example.negative_captions[0].clone());
    }
    assert!(negatives.len() >= 6, "{negatives:?}");
    // A single image has no other.
    let source: Arc<dyn Source> = Arc::new(TestSource {
        images: 1,
        ..TestSource::new(3, all_load)
    });
    let examples = Examples::new(source, ResizeRule::Square { side: 8 });
    let example = examples.load(1, 0).unwrap();
    assert_eq!(
        (
            example.negative_captions[0].as_str(),
            example.texts[0].as_str()
        ),
        ("", "caption 0 of 100")
    );
    assert!(matches!(
        examples.load(3, 0),
        Err(DataError::Index {
            index: 3,
            len: 3,
            ..
        })
    ));
}
