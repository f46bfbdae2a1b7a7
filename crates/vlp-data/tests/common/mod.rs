//! Samples of noise for the tests of sources, loaders and shards.

use rand::{Rng as _, RngExt as _};
use vlp_data::{Image, InMemorySource, LabelSpace, Object, Sample, rng};

/// `count` images of `side` x `side` noise with five captions and one to three boxes; sample `n` is the same for any `count`.
pub(crate) fn samples(count: usize, side: usize) -> Vec<Sample> {
    (0..count as u64).map(|key| sample(key, side)).collect()
}

fn sample(key: u64, side: usize) -> Sample {
    let mut rng = rng(0, 0, key, "noise");
    let mut image = Image::filled(side, side, [0; 3]);
    rng.fill_bytes(&mut image.rgb);
    let objects = (0..rng.random_range(1..=3)).map(|_| {
        let size = side as f32 / 2.0;
        let [x, y] = [0; 2].map(|_| rng.random_range(0.0..size));
        Object {
            class: rng.random_range(0..2),
            bbox: [x, y, x + size, y + size],
            attributes: vec![rng.random_range(0..2)],
            crowd: false,
            area: size * size,
        }
    });
    let objects = objects.collect();
    Sample {
        key,
        name: format!("{key}.png"),
        image,
        second_image: None,
        captions: (0..5)
            .map(|number| format!("caption {number} of {key}"))
            .collect(),
        objects: Some(objects),
        label: None,
        record: None,
    }
}

pub(crate) fn source(samples: Vec<Sample>) -> InMemorySource {
    let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
    let labels = LabelSpace {
        name: "noise".into(),
        classes: names(["dog", "cat"]),
        attributes: names(["wet", "old"]),
        ids: vec![],
    };
    InMemorySource::new("noise", labels, samples)
}
