use std::{
    f32::consts::{FRAC_PI_2, PI},
    sync::OnceLock,
};

use tiny_skia::{Path, PathBuilder, Rect, Transform};

use super::{Shape, Thing};

impl Thing {
    /// The outline at `scale` pixels per side; its tight box has its longer side equal to the extent and its centre at
    /// the thing's.
    pub(super) fn outline(&self, scale: f32) -> Option<Path> {
        let (local, bounds) = self.turned()?;
        local.transform(self.placement(scale, bounds))
    }

    /// The shape turned, about the origin, and its tight box.
    fn turned(&self) -> Option<(Path, Rect)> {
        let local = known(self.shape)?.transform(Transform::from_rotate(self.angle))?;
        let bounds = local.compute_tight_bounds()?;
        Some((local, bounds))
    }

    fn placement(&self, scale: f32, bounds: Rect) -> Transform {
        let grow = self.extent * scale / bounds.width().max(bounds.height());
        let centre_x = (bounds.left() + bounds.right()) / 2.0;
        let centre_y = (bounds.top() + bounds.bottom()) / 2.0;
        let (to_x, to_y) = (self.x * scale, self.y * scale);
        Transform::from_row(
            grow,
            0.0,
            0.0,
            grow,
            to_x - centre_x * grow,
            to_y - centre_y * grow,
        )
    }

    /// Width and height of the tight box, as shares of the picture's side.
    pub(super) fn measure(&mut self) {
        let bounds = self.turned().and_then(|(local, bounds)| {
            let place = self.placement(1.0, bounds);
            if straight(self.shape) {
                // Rounding keeps the order of numbers: the outermost corners stay the outermost.
                let x = |x: f32| x * place.sx + place.tx;
                let y = |y: f32| y * place.sy + place.ty;
                let (left, top) = (x(bounds.left()), y(bounds.top()));
                Rect::from_ltrb(left, top, x(bounds.right()), y(bounds.bottom()))
            } else {
                local.transform(place)?.compute_tight_bounds()
            }
        });
        (self.width, self.height) =
            bounds.map_or((self.extent, self.extent), |b| (b.width(), b.height()));
    }
}

/// Whether an outline has no curves.
fn straight(shape: Shape) -> bool {
    !matches!(shape, Shape::Circle | Shape::Ring | Shape::Heart)
}

/// The shape, made once.
fn known(shape: Shape) -> Option<Path> {
    static SHAPES: [OnceLock<Option<Path>>; Shape::ALL.len()] =
        [const { OnceLock::new() }; Shape::ALL.len()];
    SHAPES[shape as usize].get_or_init(|| local(shape)).clone()
}

/// A shape about the origin, y downwards, of any size.
fn local(shape: Shape) -> Option<Path> {
    let mut path = PathBuilder::new();
    match shape {
        Shape::Circle => path.push_circle(0.0, 0.0, 1.0),
        Shape::Square => path.push_rect(Rect::from_ltrb(-1.0, -1.0, 1.0, 1.0)?),
        Shape::Triangle => polygon(&mut path, &[(0.0, -1.0), (1.08, 0.9), (-1.08, 0.9)]),
        Shape::Star => {
            let tip = |k: usize| {
                let (radius, angle) = (
                    if k.is_multiple_of(2) { 1.0 } else { 0.42 },
                    k as f32 * PI / 5.0 - FRAC_PI_2,
                );
                (radius * angle.cos(), radius * angle.sin())
            };
            polygon(&mut path, &(0..10).map(tip).collect::<Vec<_>>());
        }
        Shape::Ring => {
            path.push_circle(0.0, 0.0, 1.0);
            path.push_circle(0.0, 0.0, 0.52);
        }
        Shape::Cross => {
            let (a, b) = (0.34, 1.0);
            let arms = [
                (-a, -b),
                (a, -b),
                (a, -a),
                (b, -a),
                (b, a),
                (a, a),
                (a, b),
                (-a, b),
                (-a, a),
                (-b, a),
                (-b, -a),
                (-a, -a),
            ];
            polygon(&mut path, &arms);
        }
        Shape::Heart => {
            path.move_to(0.0, 1.0);
            path.cubic_to(-0.45, 0.62, -1.08, 0.2, -1.08, -0.36);
            path.cubic_to(-1.08, -0.95, -0.3, -1.12, 0.0, -0.52);
            path.cubic_to(0.3, -1.12, 1.08, -0.95, 1.08, -0.36);
            path.cubic_to(1.08, 0.2, 0.45, 0.62, 0.0, 1.0);
            path.close();
        }
        Shape::Diamond => polygon(
            &mut path,
            &[(0.0, -1.0), (0.66, 0.0), (0.0, 1.0), (-0.66, 0.0)],
        ),
    }
    path.finish()
}

fn polygon(path: &mut PathBuilder, corners: &[(f32, f32)]) {
    for (number, &(x, y)) in corners.iter().enumerate() {
        if number == 0 {
            path.move_to(x, y);
        } else {
            path.line_to(x, y);
        }
    }
    path.close();
}
