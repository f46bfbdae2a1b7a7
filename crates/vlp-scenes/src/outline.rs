use std::{
    f32::consts::{FRAC_PI_2, PI},
    sync::OnceLock,
};

use tiny_skia::{Path, PathBuilder, Rect, Transform};

use crate::{SceneObject, Shape};

impl SceneObject {
    /// The outline in an image of `scale` pixels per side.
    ///
    /// Its tight box is centered on the object and its longer side equals the extent.
    pub(crate) fn outline(&self, scale: f32) -> Option<Path> {
        let (local, bounds) = self.rotated()?;
        local.transform(self.placement(scale, bounds))
    }

    /// The rotated shape around the origin and its tight box.
    fn rotated(&self) -> Option<(Path, Rect)> {
        let local = shape_path(self.shape)?.transform(Transform::from_rotate(self.angle))?;
        let bounds = local.compute_tight_bounds()?;
        Some((local, bounds))
    }

    fn placement(&self, scale: f32, bounds: Rect) -> Transform {
        let scale_factor = self.extent * scale / bounds.width().max(bounds.height());
        let center_x = (bounds.left() + bounds.right()) / 2.0;
        let center_y = (bounds.top() + bounds.bottom()) / 2.0;
        let (to_x, to_y) = (self.x * scale, self.y * scale);
        Transform::from_row(
            scale_factor,
            0.0,
            0.0,
            scale_factor,
            to_x - center_x * scale_factor,
            to_y - center_y * scale_factor,
        )
    }

    /// Sets width and height to those of the tight box, as fractions of the image side.
    pub(crate) fn update_box_size(&mut self) {
        let bounds = self.rotated().and_then(|(local, bounds)| {
            let placement = self.placement(1.0, bounds);
            if is_polygon(self.shape) {
                // Rounding is monotonic, so that the outermost corners stay outermost.
                let x = |x: f32| x * placement.sx + placement.tx;
                let y = |y: f32| y * placement.sy + placement.ty;
                let (left, top) = (x(bounds.left()), y(bounds.top()));
                Rect::from_ltrb(left, top, x(bounds.right()), y(bounds.bottom()))
            } else {
                local.transform(placement)?.compute_tight_bounds()
            }
        });
        (self.width, self.height) =
            bounds.map_or((self.extent, self.extent), |b| (b.width(), b.height()));
    }
}

/// Whether the outline has no curves.
fn is_polygon(shape: Shape) -> bool {
    !matches!(shape, Shape::Circle | Shape::Ring | Shape::Heart)
}

/// The unrotated shape around the origin, built once.
fn shape_path(shape: Shape) -> Option<Path> {
    static SHAPES: [OnceLock<Option<Path>>; Shape::ALL.len()] =
        [const { OnceLock::new() }; Shape::ALL.len()];
    SHAPES[shape as usize]
        .get_or_init(|| build_path(shape))
        .clone()
}

/// The shape around the origin, y pointing down, of arbitrary size.
fn build_path(shape: Shape) -> Option<Path> {
    let mut path = PathBuilder::new();
    match shape {
        Shape::Circle => path.push_circle(0.0, 0.0, 1.0),
        Shape::Square => path.push_rect(Rect::from_ltrb(-1.0, -1.0, 1.0, 1.0)?),
        Shape::Triangle => polygon(&mut path, &[(0.0, -1.0), (1.08, 0.9), (-1.08, 0.9)]),
        Shape::Star => {
            let corner = |k: usize| {
                let (radius, angle) = (
                    if k.is_multiple_of(2) { 1.0 } else { 0.42 },
                    k as f32 * PI / 5.0 - FRAC_PI_2,
                );
                (radius * angle.cos(), radius * angle.sin())
            };
            polygon(&mut path, &(0..10).map(corner).collect::<Vec<_>>());
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
    for (index, &(x, y)) in corners.iter().enumerate() {
        if index == 0 {
            path.move_to(x, y);
        } else {
            path.line_to(x, y);
        }
    }
    path.close();
}
