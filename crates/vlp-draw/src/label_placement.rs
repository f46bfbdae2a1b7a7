//! Placement of the labels of boxes.

use crate::BoxKind;

/// A rectangle in units of the drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    /// Left edge.
    pub(crate) x: f64,
    /// Top edge.
    pub(crate) y: f64,
    /// Width.
    pub(crate) width: f64,
    /// Height.
    pub(crate) height: f64,
}

impl Rect {
    /// Whether the intersection has an area above 0.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.x < other.x + other.width
            && other.x < self.x + self.width
            && self.y < other.y + other.height
            && other.y < self.y + self.height
    }
}

/// A position for a label of `size` (width, height) that is inside the image (`area`) and overlaps none of
/// `occupied`: next to the box, or as near to it as possible. `None` if the surroundings are full.
pub(crate) fn place_label(
    rect: &Rect,
    size: (f64, f64),
    kind: BoxKind,
    area: Rect,
    occupied: &[Rect],
) -> Option<Rect> {
    let (width, height) = size;
    let (left, right) = (rect.x - 1.5, rect.x + rect.width + 1.5 - width);
    let (above, inside_top) = (rect.y - height - 1.0, rect.y + 2.0);
    let inside_bottom = rect.y + rect.height - height - 2.0;
    let below = rect.y + rect.height + 1.0;
    let mut corners = [
        (left, above),
        (left, below),
        (right, above),
        (right, below),
        (left + 3.5, inside_top),
        (left + 3.5, inside_bottom),
        (right - 3.5, inside_top),
        (right - 3.5, inside_bottom),
    ];
    if kind == BoxKind::Truth {
        // Predicted labels prefer the top of a box, true ones the bottom.
        corners.swap(0, 1);
        corners.swap(2, 3);
        corners.swap(4, 5);
    }
    let preferred = corners[0];
    let moved_inside = |(x, y): (f64, f64)| Rect {
        x: x.min(area.width - width).max(0.0),
        y: y.min(area.height - height).max(0.0),
        width,
        height,
    };
    let distance =
        |spot: &Rect, corner: (f64, f64)| (spot.x - corner.0).abs() + (spot.y - corner.1).abs();
    let is_free = |spot: &Rect| !occupied.iter().any(|other| other.overlaps(spot));
    // A corner outside the image is moved across the box, so corners inside come first.
    let (inside, outside): (Vec<_>, Vec<_>) = corners
        .iter()
        .partition(|corner| distance(&moved_inside(**corner), **corner) < 4.0);
    let mut at_corners = inside.into_iter().chain(outside).map(moved_inside);
    if let Some(spot) = at_corners.find(is_free) {
        return Some(spot);
    }
    (-8..=8)
        .flat_map(|row| (-4..=4).map(move |column| (column, row)))
        .map(|(column, row)| {
            let (dx, dy) = (f64::from(column) * 12.0, f64::from(row) * 6.0);
            moved_inside((preferred.0 + dx, preferred.1 + dy))
        })
        .filter(is_free)
        .min_by(|a, b| distance(a, preferred).total_cmp(&distance(b, preferred)))
}
