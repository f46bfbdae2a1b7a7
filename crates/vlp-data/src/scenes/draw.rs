use rand::RngExt;
use tiny_skia::{
    Color, FillRule, GradientStop, LinearGradient, Mask, Paint, Path, PathBuilder, Pixmap, Point,
    Rect, Shader, SpreadMode, Stroke, Transform,
};

use super::{Background, Colour, Scene, Texture, Thing};
use crate::{Picture, rng};

impl Scene {
    /// The picture at `resolution` x `resolution` pixels, anti-aliased; black where `resolution` is 0 or over 16,384.
    pub fn draw(&self, resolution: usize) -> Picture {
        let side = if resolution <= 16_384 {
            resolution as u32
        } else {
            0
        };
        self.paint(side).map_or_else(
            || Picture::filled(resolution, resolution, [0; 3]),
            |pixmap| Picture {
                width: resolution,
                height: resolution,
                // Everything is opaque: premultiplied is plain.
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
        self.background(&mut pixmap)?;
        for thing in &self.things {
            thing.paint(&mut pixmap)?;
        }
        Some(pixmap)
    }

    fn background(&self, pixmap: &mut Pixmap) -> Option<()> {
        let side = pixmap.width() as f32;
        let [first, second] = self.tints.map(|[r, g, b]| Color::from_rgba8(r, g, b, 255));
        pixmap.fill(first);
        match self.background {
            Background::Plain => {}
            Background::Gradient => {
                let (sin, cos) = self.slope.to_radians().sin_cos();
                let end = |sign: f32| {
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
                    end(-1.0),
                    end(1.0),
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
                let mut rng = rng(self.grain, 0, 0, "grain");
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

impl Thing {
    fn paint(&self, pixmap: &mut Pixmap) -> Option<()> {
        let side = pixmap.width() as f32;
        let outline = self.outline(side)?;
        // Everything is clipped to the outline, so that the box of what is drawn is the outline's.
        let mut clip = Mask::new(pixmap.width(), pixmap.height())?;
        clip.fill_path(&outline, FillRule::EvenOdd, true, Transform::identity());
        let main = self.colour.rgb();
        let mut fill = |path: &Path, colour: [u8; 3]| {
            pixmap.fill_path(
                path,
                &solid(colour),
                FillRule::Winding,
                Transform::identity(),
                Some(&clip),
            );
        };
        let bounds = outline.bounds();
        fill(&PathBuilder::from_rect(bounds.outset(1.0, 1.0)?), main);
        let turn = Transform::from_rotate_at(self.angle, self.x * side, self.y * side);
        match self.texture {
            Texture::Plain => {}
            Texture::Striped => fill(&stripes(bounds)?.transform(turn)?, self.colour.second()),
            Texture::Dotted => fill(&dots(bounds)?.transform(turn)?, self.colour.second()),
        }
        let stroke = Stroke {
            width: (side * 0.024).max(1.2),
            ..Stroke::default()
        };
        pixmap.stroke_path(
            &outline,
            &solid(self.colour.edge()),
            &stroke,
            Transform::identity(),
            Some(&clip),
        );
        Some(())
    }
}

fn solid([r, g, b]: [u8; 3]) -> Paint<'static> {
    Paint {
        shader: Shader::SolidColor(Color::from_rgba8(r, g, b, 255)),
        anti_alias: true,
        ..Paint::default()
    }
}

/// Level bars over a box, five to its height.
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

impl Colour {
    /// Red, green and blue of the filling.
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

    /// What stripes and dots are drawn in.
    fn second(self) -> [u8; 3] {
        [255; 3]
    }

    /// The edge: the same, darker.
    fn edge(self) -> [u8; 3] {
        self.rgb().map(|channel| (f32::from(channel) * 0.62) as u8)
    }
}
