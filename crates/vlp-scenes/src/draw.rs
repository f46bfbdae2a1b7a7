use rand::RngExt;
use tiny_skia::{
    Color as Rgba, FillRule, GradientStop, LinearGradient, Mask, Paint, Path, PathBuilder, Pixmap,
    Point, Rect, Shader, SpreadMode, Stroke, Transform,
};
use vlp_data::{Image, rng};

use crate::{Background, Color, Scene, SceneObject, Texture};

/// Color of stripes and dots.
const PATTERN_COLOR: [u8; 3] = [255; 3];

impl Scene {
    /// The anti-aliased image of `resolution` x `resolution` pixels; black if `resolution` is 0 or over 16,384.
    pub fn draw(&self, resolution: usize) -> Image {
        let side = if resolution <= 16_384 {
            resolution as u32
        } else {
            0
        };
        self.paint(side).map_or_else(
            || Image::filled(resolution, resolution, [0; 3]),
            |pixmap| Image {
                width: resolution,
                height: resolution,
                // All pixels are opaque, so that premultiplied values are plain ones.
                rgb: pixmap
                    .data()
                    .chunks_exact(4)
                    .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]])
                    .collect(),
            },
        )
    }

    fn paint(&self, side: u32) -> Option<Pixmap> {
        let mut pixmap = Pixmap::new(side, side)?;
        self.paint_background(&mut pixmap)?;
        self.paint_clutter(&mut pixmap)?;
        for object in &self.objects {
            object.paint(&mut pixmap)?;
        }
        self.shade(&mut pixmap);
        Some(pixmap)
    }

    fn paint_background(&self, pixmap: &mut Pixmap) -> Option<()> {
        let side = pixmap.width() as f32;
        let [first, second] = self.tints.map(|[r, g, b]| Rgba::from_rgba8(r, g, b, 255));
        pixmap.fill(first);
        match self.background {
            Background::Plain => {}
            Background::Gradient => {
                let (sin, cos) = self.gradient_angle.to_radians().sin_cos();
                let endpoint = |sign: f32| {
                    Point::from_xy(
                        side * (0.5 + sign * cos / 2.0),
                        side * (0.5 + sign * sin / 2.0),
                    )
                };
                let stops = vec![
                    GradientStop::new(0.0, first),
                    GradientStop::new(1.0, second),
                ];
                let shader = LinearGradient::new(
                    endpoint(-1.0),
                    endpoint(1.0),
                    stops,
                    SpreadMode::Pad,
                    Transform::identity(),
                )?;
                let paint = Paint {
                    shader,
                    ..Paint::default()
                };
                pixmap.fill_rect(
                    Rect::from_xywh(0.0, 0.0, side, side)?,
                    &paint,
                    Transform::identity(),
                    None,
                );
            }
            Background::Noise => {
                let mut rng = rng(self.seed, 0, 0, "grain");
                for pixel in pixmap.data_mut().chunks_exact_mut(4) {
                    let shift = rng.random_range(-9..=9);
                    for channel in &mut pixel[..3] {
                        *channel = (i16::from(*channel) + shift).clamp(0, 255) as u8;
                    }
                }
            }
        }
        Some(())
    }
}

impl SceneObject {
    fn paint(&self, pixmap: &mut Pixmap) -> Option<()> {
        let side = pixmap.width() as f32;
        let outline = self.outline(side)?;
        // Clipping everything to the outline makes the drawn box equal the outline's.
        let mut clip = Mask::new(pixmap.width(), pixmap.height())?;
        clip.fill_path(&outline, FillRule::EvenOdd, true, Transform::identity());
        let mut fill = |path: &Path, color: [u8; 3]| {
            pixmap.fill_path(
                path,
                &solid(color),
                FillRule::Winding,
                Transform::identity(),
                Some(&clip),
            );
        };
        let bounds = outline.bounds();
        fill(
            &PathBuilder::from_rect(bounds.outset(1.0, 1.0)?),
            self.color.rgb(),
        );
        let rotation = Transform::from_rotate_at(self.angle, self.x * side, self.y * side);
        match self.texture {
            Texture::Plain => {}
            Texture::Striped => fill(&stripes(bounds)?.transform(rotation)?, PATTERN_COLOR),
            Texture::Dotted => fill(&dots(bounds)?.transform(rotation)?, PATTERN_COLOR),
        }
        let stroke = Stroke {
            width: (side * 0.024).max(1.2),
            ..Stroke::default()
        };
        pixmap.stroke_path(
            &outline,
            &solid(self.color.border()),
            &stroke,
            Transform::identity(),
            Some(&clip),
        );
        Some(())
    }
}

pub(crate) fn solid([r, g, b]: [u8; 3]) -> Paint<'static> {
    Paint {
        shader: Shader::SolidColor(Rgba::from_rgba8(r, g, b, 255)),
        anti_alias: true,
        ..Paint::default()
    }
}

/// Horizontal bars over a box.
fn stripes(bounds: Rect) -> Option<Path> {
    let mut path = PathBuilder::new();
    let extent = bounds.width().max(bounds.height());
    let step = extent / 3.5;
    let mut y = bounds.top() - step * 0.2;
    while y < bounds.bottom() + step {
        path.push_rect(Rect::from_xywh(
            bounds.left() - extent,
            y,
            extent * 3.0,
            step * 0.5,
        )?);
        y += step;
    }
    path.finish()
}

/// Dots over a box in staggered rows.
fn dots(bounds: Rect) -> Option<Path> {
    let mut path = PathBuilder::new();
    let step = bounds.width().max(bounds.height()) / 3.6;
    let mut row = 0;
    let mut y = bounds.top();
    while y < bounds.bottom() + step {
        let mut x = bounds.left() + if row % 2 == 0 { 0.0 } else { step / 2.0 };
        while x < bounds.right() + step {
            path.push_circle(x, y, step * 0.27);
            x += step;
        }
        row += 1;
        y += step * 0.87;
    }
    path.finish()
}

impl Color {
    /// Red, green and blue of the fill.
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Self::Red => [214, 30, 38],
            Self::Orange => [255, 136, 0],
            Self::Yellow => [250, 218, 20],
            Self::Green => [26, 150, 56],
            Self::Cyan => [30, 200, 216],
            Self::Blue => [32, 74, 214],
            Self::Purple => [146, 44, 190],
            Self::Black => [34, 34, 38],
        }
    }

    /// A darker shade for the border.
    fn border(self) -> [u8; 3] {
        self.rgb().map(|channel| (f32::from(channel) * 0.62) as u8)
    }
}
