use crate::Picture;

/// ImageNet's mean of red, green, blue on the scale 0..1.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];

/// ImageNet's standard deviation of red, green, blue on the scale 0..1.
pub const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// Channel planes `[3, height, width]` of `(value / 255 - MEAN) / STD`, as torchvision and DETR do (SOHO's means and
/// deviations on the scale 0..255 are the same numbers). Values lie between -2.12 and 2.64.
pub fn normalise(picture: &Picture) -> Vec<f32> {
    let plane = picture.width * picture.height;
    let mut planes = vec![0.0; plane * 3];
    for (channel, out) in planes.chunks_exact_mut(plane.max(1)).enumerate() {
        let mut table = [0.0; 256];
        for (value, entry) in table.iter_mut().enumerate() {
            *entry = (value as f32 / 255.0 - MEAN[channel]) / STD[channel];
        }
        for (out, pixel) in out.iter_mut().zip(picture.rgb.chunks_exact(3)) {
            *out = table[usize::from(pixel[channel])];
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::normalise;
    use crate::Picture;

    #[test]
    fn planes_are_channel_first() {
        let picture = Picture {
            width: 2,
            height: 1,
            rgb: vec![0, 255, 128, 255, 0, 124],
        };
        let got = normalise(&picture);
        // (v/255 - mean)/std by hand, in double precision.
        let want = [
            -2.117_904, 2.248_908, 2.428_571, -2.035_714, 0.426_492, 0.356_776,
        ];
        assert_eq!(got.len(), 6);
        for (got, want) in got.iter().zip(want) {
            // One rounding of f32 at magnitude 2.
            assert!((got - want).abs() < 1e-5, "{got} {want}");
        }
    }
}
