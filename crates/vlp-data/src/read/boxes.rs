use serde::{Deserialize, Deserializer};

/// A number that may be missing or `null`: then it is NaN.
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

/// A box of `[x, y, width, height]` inside its image: left, top, right and bottom, and whether more than half a pixel
/// of it was clipped; or why it is none.
pub(crate) fn inside(
    [x, y, w, h]: [f64; 4],
    (width, height): (usize, usize),
) -> Result<([f64; 4], bool), String> {
    let whole = [x, y, x + w, y + h];
    if whole.iter().any(|side| !side.is_finite()) {
        return Err("its box has a number that is missing or not finite".into());
    }
    let (right, bottom) = (width as f64, height as f64);
    let inside = [
        x.clamp(0.0, right),
        y.clamp(0.0, bottom),
        (x + w).clamp(0.0, right),
        (y + h).clamp(0.0, bottom),
    ];
    // The comparison is made with the numbers that are kept.
    let kept = inside.map(|side| side as f32);
    if kept[2] <= kept[0] || kept[3] <= kept[1] {
        return Err(format!(
            "its box [{x}, {y}, {w}, {h}] has no area inside the image of {width}x{height}"
        ));
    }
    let moved = |(side, clipped): (&f64, &f64)| (side - clipped).abs() > 0.5;
    Ok((inside, whole.iter().zip(&inside).any(moved)))
}
