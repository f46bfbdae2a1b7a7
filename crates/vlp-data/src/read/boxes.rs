use serde::{Deserialize, Deserializer};
use serde_json::Value;

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

/// Whether a box is a crowd region: 0, 1, a bool, or `null`, which is not a crowd.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CrowdFlag(pub(crate) bool);

impl<'de> Deserialize<'de> for CrowdFlag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let is_crowd = match &value {
            Value::Null => Some(false),
            Value::Bool(is_crowd) => Some(*is_crowd),
            value if value.as_f64() == Some(0.0) => Some(false),
            value if value.as_f64() == Some(1.0) => Some(true),
            _ => None,
        };
        let invalid =
            || serde::de::Error::custom(format!("iscrowd (crowd) is {value}; it must be 0 or 1"));
        is_crowd.map(Self).ok_or_else(invalid)
    }
}

/// The annotated area if it is finite, otherwise that of the box, at most the largest finite number.
pub(crate) fn area_or_box(area: Option<f64>, width: Number, height: Number) -> f64 {
    let area = area.filter(|area| area.is_finite());
    area.unwrap_or_else(|| (width.0 * height.0).min(f64::MAX))
}

/// Left, top, right and bottom of a box `[x, y, width, height]`; `None` if one of them is not finite.
pub(crate) fn finite_sides([x, y, w, h]: [f64; 4]) -> Option<[f64; 4]> {
    let sides = [x, y, x + w, y + h];
    sides.iter().all(|side| side.is_finite()).then_some(sides)
}

/// Clips a box `[x, y, width, height]` to its image: left, top, right and bottom, and whether more than half a pixel was
/// clipped.
///
/// # Errors
/// What is wrong with a box that is not finite or has no area inside the image.
pub(crate) fn clip_to_image(
    bbox: [f64; 4],
    (width, height): (usize, usize),
) -> Result<([f64; 4], bool), String> {
    let Some(unclipped) = finite_sides(bbox) else {
        return Err("its box has a number that is missing or not finite".into());
    };
    let (right, bottom) = (width as f64, height as f64);
    let [x0, y0, x1, y1] = unclipped;
    let clipped = [
        x0.clamp(0.0, right),
        y0.clamp(0.0, bottom),
        x1.clamp(0.0, right),
        y1.clamp(0.0, bottom),
    ];
    // Compared in single precision, in which the box is stored.
    let [x0, y0, x1, y1] = clipped.map(|side| side as f32);
    if x1 <= x0 || y1 <= y0 {
        let [x, y, w, h] = bbox;
        return Err(format!(
            "its box [{x}, {y}, {w}, {h}] has no area inside the image of {width}x{height}"
        ));
    }
    let differs = |(unclipped, clipped): (&f64, &f64)| (unclipped - clipped).abs() > 0.5;
    let was_clipped = unclipped.iter().zip(&clipped).any(differs);
    Ok((clipped, was_clipped))
}
