//! Objects with boxes and attributes.

use rand::RngExt;

use super::SEED;
use crate::arrays::Arrays;
use crate::setup::Setup;

/// Most attributes of an object.
const EACH: usize = 3;

/// Up to `most` objects in each of `images` images; the first has all.
pub(super) fn objects(inputs: &mut Arrays, setup: &Setup, images: usize, most: usize) {
    let mut rng = vlp_data::rng(SEED, 0, 0, "objects");
    let counts: Vec<i32> = (0..images)
        .map(|image| (most - image * 2 % most) as i32)
        .collect();
    let count = images * most;
    let classes: Vec<i32> = (0..count)
        .map(|_| rng.random_range(0..setup.classes as i32))
        .collect();
    let (mut attributes, all) = (vec![], setup.attributes as i32);
    for object in 0..count {
        let mut ids = [-1; EACH];
        // From none to all, each different.
        let first = rng.random_range(0..all);
        for (i, slot) in ids.iter_mut().take(object % (EACH + 1)).enumerate() {
            *slot = (first + i as i32) % all;
        }
        attributes.extend(ids);
    }
    inputs.put("objects", &[images], &counts);
    inputs.put("classes", &[images, most], &classes);
    inputs.put("attributes", &[images, most, EACH], &attributes);
    boxes(inputs, "boxes", &[images, most]);
}

/// Boxes within the image, `[.., 4]`.
pub(super) fn boxes(inputs: &mut Arrays, name: &str, rows: &[usize]) {
    let mut rng = vlp_data::rng(SEED, 0, 0, name);
    let mut draw = || {
        let [width, height] = [0; 2].map(|_| rng.random_range(0.05f32..0.6));
        let mut center = |side: f32| rng.random_range(side / 2.0..1.0 - side / 2.0);
        [center(width), center(height), width, height]
    };
    let count = rows.iter().product::<usize>();
    let values: Vec<f32> = (0..count).flat_map(|_| draw()).collect();
    inputs.put(name, &[rows, &[4]].concat(), &values);
}
