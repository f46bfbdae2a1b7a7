//! Where a label of a box goes.

use crate::BoxKind;

/// A rectangle in units of the drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    /// Left edge.
    pub(crate) x: f64,
    /// Top edge.
    pub(crate) y: f64,
    /// Width.
    pub(crate) w: f64,
    /// Height.
    pub(crate) h: f64,
}

impl Rect {
    /// Whether the two share any area.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.x < other.x + other.w
            && other.x < self.x + self.w
            && self.y < other.y + other.h
            && other.y < self.y + self.h
    }
}

/// A free place inside the picture for a label of `size` (width, height), at its box or as near to
/// it as there is one.
pub(crate) fn place(
    rect: &Rect,
    size: (f64, f64),
    kind: BoxKind,
    area: Rect,
    taken: &[Rect],
) -> Option<Rect> {
    let (width, height) = size;
    let (left, right) = (rect.x - 1.5, rect.x + rect.w + 1.5 - width);
    let (above, inside, foot, below) = (
        rect.y - height - 1.0,
        rect.y + 2.0,
        rect.y + rect.h - height - 2.0,
        rect.y + rect.h + 1.0,
    );
    let mut spots = [
        (left, above),
        (left, below),
        (right, above),
        (right, below),
        (left + 3.5, inside),
        (left + 3.5, foot),
        (right - 3.5, inside),
        (right - 3.5, foot),
    ];
    if kind == BoxKind::Truth {
        // Predicted labels keep to the top, true ones to the bottom.
        spots.swap(0, 1);
        spots.swap(2, 3);
        spots.swap(4, 5);
    }
    let first = spots[0];
    let inside = |(x, y): (f64, f64)| Rect {
        x: x.min(area.w - width).max(0.0),
        y: y.min(area.h - height).max(0.0),
        w: width,
        h: height,
    };
    let moved = |spot: &Rect, from: (f64, f64)| (spot.x - from.0).abs() + (spot.y - from.1).abs();
    let free = |spot: &Rect| !taken.iter().any(|other| other.overlaps(spot));
    // A spot outside the picture would be pushed across the box: first those that stay put.
    let (fitting, pushed): (Vec<_>, Vec<_>) = spots
        .iter()
        .partition(|spot| moved(&inside(**spot), **spot) < 4.0);
    if let Some(spot) = fitting.into_iter().chain(pushed).map(inside).find(free) {
        return Some(spot);
    }
    let mut near: Vec<_> = (-8..=8)
        .flat_map(|row| (-4..=4).map(move |column| (column, row)))
        .map(|(column, row)| {
            inside((
                first.0 + f64::from(column) * 12.0,
                first.1 + f64::from(row) * 6.0,
            ))
        })
        .filter(free)
        .collect();
    near.sort_by(|a, b| moved(a, first).total_cmp(&moved(b, first)));
    near.first().copied()
}
