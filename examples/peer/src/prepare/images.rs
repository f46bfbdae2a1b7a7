//! Pixels: blocks of color under noise, as far apart as those of photographs are after normalization.

use rand::RngExt;

use super::SEED;
use crate::arrays::Arrays;

/// Side of a block in pixels.
const BLOCK: usize = 16;

/// `[count, height, width]` images without padding.
pub(super) fn unpadded(inputs: &mut Arrays, shape: [usize; 3]) {
    put(inputs, shape, |_| shape[2]);
}

/// As [`unpadded`], but a quarter of the last image, at its right, is padding.
pub(super) fn padded(inputs: &mut Arrays, shape: [usize; 3]) {
    let [count, _, width] = shape;
    put(inputs, shape, |image| match image + 1 == count {
        true => width * 3 / 4,
        false => width,
    });
}

fn put(inputs: &mut Arrays, shape: [usize; 3], real: impl Fn(usize) -> usize) {
    let [count, height, width] = shape;
    let mut mask = Vec::with_capacity(count * height * width);
    let mut pixels = Vec::with_capacity(3 * count * height * width);
    let (rows, columns) = (height.div_ceil(BLOCK), width.div_ceil(BLOCK));
    for image in 0..count {
        let mut rng = vlp_data::rng(SEED, 0, image as u64, "pixels");
        for _ in 0..3 {
            let blocks: Vec<f32> = (0..rows * columns)
                .map(|_| rng.random_range(-1.7..1.9))
                .collect();
            for row in 0..height {
                for column in 0..width {
                    let color = blocks[row / BLOCK * columns + column / BLOCK];
                    let value = color + rng.random_range(-0.4f32..0.4);
                    pixels.push(if column < real(image) { value } else { 0.0 });
                }
            }
        }
        mask.extend((0..height * width).map(|at| u8::from(at % width >= real(image))));
    }
    inputs.put("pixels", &[count, 3, height, width], &pixels);
    inputs.put("pad_mask", &shape, &mask);
}
