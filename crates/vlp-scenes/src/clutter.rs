//! What makes scenes harder to see: marks behind the objects, and light from one side.

use rand::RngExt;
use tiny_skia::{FillRule, PathBuilder, Pixmap, Rect, Transform};
use vlp_data::rng;

use crate::draw::solid;
use crate::random::pick;
use crate::{Color, Scene};

/// Sides of marks as fractions of the image side: smaller than any object that is easy to see.
const SIDES: std::ops::Range<f32> = 0.03..0.09;

impl Scene {
    /// Squares and disks of all colors at random places.
    pub(crate) fn paint_clutter(&self, pixmap: &mut Pixmap) -> Option<()> {
        let image_side = pixmap.width() as f32;
        let mut rng = rng(self.seed, 0, 0, "clutter");
        for _ in 0..self.clutter {
            let side = image_side * rng.random_range(SIDES);
            let [x, y] = [0; 2].map(|_| rng.random_range(0.0..image_side));
            let angle = rng.random_range(0.0..90.0);
            let color = pick(Color::ALL, &mut rng);
            let path = match rng.random_bool(0.5) {
                true => PathBuilder::from_circle(x, y, side / 2.0)?,
                false => PathBuilder::from_rect(Rect::from_xywh(x, y, side, side)?),
            };
            pixmap.fill_path(
                &path,
                &solid(color.rgb()),
                FillRule::Winding,
                Transform::from_rotate_at(angle, x, y),
                None,
            );
        }
        Some(())
    }

    /// Darkens the image towards one side.
    pub(crate) fn shade(&self, pixmap: &mut Pixmap) {
        if self.shade == 0.0 {
            return;
        }
        let angle: f32 = rng(self.seed, 0, 0, "light").random_range(0.0..360.0);
        let (sin, cos) = angle.to_radians().sin_cos();
        let side = pixmap.width() as usize;
        for (index, pixel) in pixmap.data_mut().chunks_exact_mut(4).enumerate() {
            let [x, y] = [index % side, index / side].map(|at| at as f32 / side as f32 - 0.5);
            // From 0 on the lit side to 1 on the other; the corners lie beyond.
            let distance = (x * cos + y * sin + 0.5).clamp(0.0, 1.0);
            for channel in &mut pixel[..3] {
                *channel = (f32::from(*channel) * (1.0 - self.shade * distance)) as u8;
            }
        }
    }
}
