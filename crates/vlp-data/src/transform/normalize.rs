use crate::Image;

/// ImageNet's mean of red, green and blue, with values in `0..=1`.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];

/// ImageNet's standard deviation of red, green and blue, with values in `0..=1`.
pub const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// `(value / 255 - MEAN) / STD` as in torchvision and DETR, in channels `[3, height, width]`. SOHO's constants for values in
/// `0..=255` are equivalent. Results are between -2.12 and 2.64.
pub fn normalize(image: &Image) -> Vec<f32> {
    let plane = image.width * image.height;
    let mut planes = vec![0.0; plane * 3];
    for (channel, out) in planes.chunks_exact_mut(plane.max(1)).enumerate() {
        let mut table = [0.0; 256];
        for (value, entry) in table.iter_mut().enumerate() {
            *entry = (value as f32 / 255.0 - MEAN[channel]) / STD[channel];
        }
        for (out, pixel) in out.iter_mut().zip(image.rgb.chunks_exact(3)) {
            *out = table[usize::from(pixel[channel])];
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::normalize;
    use crate::Image;

    #[test]
    fn normalized_channels_equal_reference_values() {
        let image = Image {
            width: 2,
            height: 1,
            rgb: vec![0, 255, 128, 255, 0, 124],
        };
        let pixels = normalize(&image);
        // (value / 255 - mean) / std in double precision.
        let expected = [
            -2.117_904, 2.248_908, 2.428_571, -2.035_714, 0.426_492, 0.356_776,
        ];
        assert_eq!(pixels.len(), 6);
        for (actual, expected) in pixels.iter().zip(expected) {
            // f32 rounding at magnitude 2.
            assert!((actual - expected).abs() < 1e-5, "{actual} {expected}");
        }
    }
}
