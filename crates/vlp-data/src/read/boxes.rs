use serde::{Deserialize, Deserializer};

/// A JSON number; missing and `null` are NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number(pub(crate) f64);

impl Default for Number {
    fn default() -> Self {
        Self(f64::NAN)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or_else(Self::default, Self))
    }
}

/// Clips a box `[x, y, width, height]` to its image: left, top, right and bottom, and whether more than half a pixel was
/// clipped.
///
/// # Errors
/// What is wrong with a box that is not finite or has no area inside the image.
pub(crate) fn clip_to_image(
    [x, y, w, h]: [f64; 4],
    (width, height): (usize, usize),
) -> Result<([f64; 4], bool), String> {
    let unclipped = [x, y, x + w, y + h];
    if unclipped.iter().any(|side| !side.is_finite()) {
        return Err("its box has a number that is missing or not finite".into());
    }
    let (right, bottom) = (width as f64, height as f64);
    let clipped = [
        x.clamp(0.0, right),
        y.clamp(0.0, bottom),
        (x + w).clamp(0.0, right),
        (y + h).clamp(0.0, bottom),
    ];
    // Compared in single precision, in which the box is stored.
    let [x0, y0, x1, y1] = clipped.map(|side| side as f32);
    if x1 <= x0 || y1 <= y0 {
        return Err(format!(
            "its box [{x}, {y}, {w}, {h}] has no area inside the image of {width}x{height}"
        ));
    }
    let differs = |(unclipped, clipped): (&f64, &f64)| (unclipped - clipped).abs() > 0.5;
    let was_clipped = unclipped.iter().zip(&clipped).any(differs);
    Ok((clipped, was_clipped))
}
