//! Boxes and their labels drawn into the pixels of a picture.

use crate::overlay::clipped;
use crate::picture::check_boxes;
use crate::place::{Rect, place};
use crate::{BoxKind, Colour, DrawnBox, PictureError, colour_of, font, png};

/// Line widths in units: the coloured line, and the white rim around it.
const LINE: f64 = 2.0;
const RIM: f64 = 0.8;
/// Space around a label's text, in units.
const PAD: usize = 2;
/// Most letters of a class name.
const LONGEST: usize = 24;

/// The picture with boxes and their labels drawn into its pixels, for a PNG file: lines with
/// smooth edges in the colour of the class, class name and score in a bitmap face of 5x7 pixels
/// (ASCII; other letters are hollow boxes). True boxes are drawn dashed. Lines and letters grow
/// with the picture, by one pixel for each 320 of its shorter edge. A label without a free place is
/// left out.
///
/// `rgb` holds `width * height * 3` bytes, rows from the top, as does the result.
///
/// # Errors
/// [`PictureError::Empty`] or [`PictureError::Bytes`] for pixels of another size,
/// [`PictureError::Box`] for a box that cannot be drawn.
///
/// ```
/// use vlp_draw::{BoxKind, DrawnBox, draw_boxes, png};
///
/// let dog = DrawnBox { x0: 8.0, y0: 20.0, x1: 50.0, y1: 60.0, label: "dog".into(),
///     score: Some(0.9), kind: BoxKind::Predicted, detail: String::new() };
/// let rgb = draw_boxes(64, 64, &[128; 64 * 64 * 3], &[dog])?;
/// let file = png(64, 64, &rgb)?;
/// # Ok::<(), vlp_draw::PictureError>(())
/// ```
pub fn draw_boxes(
    width: u32,
    height: u32,
    rgb: &[u8],
    boxes: &[DrawnBox],
) -> Result<Vec<u8>, PictureError> {
    png::check(width, height, rgb)?;
    check_boxes(boxes)?;
    let unit = (width.min(height) / 320 + 1) as usize;
    let mut canvas = Canvas {
        width: width as usize,
        height: height as usize,
        unit,
        rgb: rgb.to_vec(),
    };
    let scale = 1.0 / unit as f64;
    let area = Rect {
        x: 0.0,
        y: 0.0,
        w: f64::from(width) * scale,
        h: f64::from(height) * scale,
    };
    let visible: Vec<_> = boxes
        .iter()
        .filter_map(|drawn| Some((drawn, clipped(drawn, scale, area)?)))
        .collect();
    for (drawn, rect) in &visible {
        canvas.outline(drawn, rect);
    }
    let mut taken = Vec::new();
    for (drawn, rect) in &visible {
        let text = label(drawn, area.w);
        if text.is_empty() {
            continue;
        }
        let size = (
            (text.chars().count() * font::ADVANCE - 1 + 2 * PAD) as f64,
            (font::HEIGHT + 2 * PAD - 1) as f64,
        );
        if size.0 > area.w || size.1 > area.h {
            continue;
        }
        if let Some(spot) = place(rect, size, drawn.kind, area, &taken) {
            canvas.label(&text, colour_of(&drawn.label), spot);
            taken.push(spot);
        }
    }
    Ok(canvas.rgb)
}

/// Class name and score, as much as fits beside each other in `room` units.
fn label(drawn: &DrawnBox, room: f64) -> String {
    let score = drawn
        .score
        .map(|score| format!(" {score:.2}"))
        .unwrap_or_default();
    let letters = (room as usize + 1).saturating_sub(2 * PAD) / font::ADVANCE;
    let letters = letters.saturating_sub(score.len()).min(LONGEST);
    let name: String = if drawn.label.chars().count() <= letters {
        drawn.label.clone()
    } else {
        let kept = drawn.label.chars().take(letters.saturating_sub(2));
        kept.chain("..".chars()).take(letters).collect()
    };
    format!("{name}{score}").trim().to_owned()
}

/// A picture that is drawn on; `unit` pixels are one unit.
struct Canvas {
    width: usize,
    height: usize,
    unit: usize,
    rgb: Vec<u8>,
}

impl Canvas {
    /// Lays a colour over a pixel with an opacity in 0..=1; outside the picture nothing happens.
    fn blend(&mut self, x: usize, y: usize, colour: [u8; 3], opacity: f64) {
        if x >= self.width || y >= self.height {
            return;
        }
        let at = (y * self.width + x) * 3;
        for (sample, ink) in self.rgb[at..at + 3].iter_mut().zip(colour) {
            let mixed = f64::from(*sample) * (1.0 - opacity) + f64::from(ink) * opacity;
            *sample = mixed.round() as u8;
        }
    }

    fn outline(&mut self, drawn: &DrawnBox, rect: &Rect) {
        let unit = self.unit as f64;
        let edges = (
            rect.x * unit,
            rect.y * unit,
            (rect.x + rect.w) * unit,
            (rect.y + rect.h) * unit,
        );
        let half = LINE / 2.0 * unit;
        let rim = half + RIM * unit;
        self.frame(edges, rim, [255; 3], 0.6, None);
        let dash = (drawn.kind == BoxKind::Truth).then_some(5 * self.unit);
        if dash.is_some() {
            self.frame(edges, half, [255; 3], 1.0, None);
        }
        self.frame(edges, half, colour_of(&drawn.label).0, 1.0, dash);
    }

    /// The line around a rectangle, `half` pixels to either side. A pixel is covered as much as it
    /// lies in the outer rectangle, less what lies in the inner one.
    fn frame(
        &mut self,
        (x0, y0, x1, y1): (f64, f64, f64, f64),
        half: f64,
        colour: [u8; 3],
        opacity: f64,
        dash: Option<usize>,
    ) {
        let cover = |at: usize, low: f64, high: f64| {
            let at = at as f64;
            ((at + 1.0).min(high) - at.max(low)).clamp(0.0, 1.0)
        };
        let (first, last) = ((y0 - half).max(0.0) as usize, (y1 + half).max(0.0) as usize);
        for y in first..=last.min(self.height - 1) {
            let (outer_y, inner_y) = (
                cover(y, y0 - half, y1 + half),
                cover(y, y0 + half, y1 - half),
            );
            let (left, right) = ((x0 - half).max(0.0) as usize, (x1 + half).max(0.0) as usize);
            for x in left..=right.min(self.width - 1) {
                let outer = outer_y * cover(x, x0 - half, x1 + half);
                let share = outer - inner_y * cover(x, x0 + half, x1 - half);
                let on = dash.is_none_or(|dash| {
                    // Along the sides by row, along top and bottom by column.
                    let along = if inner_y >= 1.0 { y - first } else { x - left };
                    along / dash % 2 == 0
                });
                if share > 0.0 && on {
                    self.blend(x, y, colour, share * opacity);
                }
            }
        }
    }

    fn label(&mut self, text: &str, colour: Colour, spot: Rect) {
        let unit = self.unit;
        let (left, top) = ((spot.x as usize) * unit, (spot.y as usize) * unit);
        for y in 0..spot.h as usize * unit {
            for x in 0..spot.w as usize * unit {
                self.blend(left + x, top + y, colour.0, 1.0);
            }
        }
        for (i, letter) in text.chars().enumerate() {
            for (column, bits) in font::columns(letter).into_iter().enumerate() {
                for row in (0..font::HEIGHT).filter(|row| bits >> row & 1 == 1) {
                    let x = left + (PAD + i * font::ADVANCE + column) * unit;
                    let y = top + (PAD + row) * unit;
                    for (dx, dy) in (0..unit).flat_map(|dx| (0..unit).map(move |dy| (dx, dy))) {
                        self.blend(x + dx, y + dy, [255; 3], 1.0);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn drawn([x0, y0, x1, y1]: [f32; 4], label: &str, kind: BoxKind) -> DrawnBox {
        DrawnBox {
            x0,
            y0,
            x1,
            y1,
            label: label.into(),
            score: None,
            kind,
            detail: String::new(),
        }
    }

    #[test]
    fn lines_lie_where_the_box_is() {
        let rgb = vec![0; 60 * 50 * 3];
        let boxed = drawn([10.0, 12.0, 40.0, 40.5], "", BoxKind::Predicted);
        let out = draw_boxes(60, 50, &rgb, &[boxed]).unwrap();
        let at = |x: usize, y: usize| &out[(y * 60 + x) * 3..][..3];
        let colour = colour_of("").0;
        // Two pixels wide around the edge at 10, one and two halves around 40.5.
        assert_eq!((at(9, 20), at(10, 20)), (&colour[..], &colour[..]));
        assert_eq!(
            (at(20, 40), at(7, 20), at(25, 25)),
            (&colour[..], &[0; 3][..], &[0; 3][..])
        );
        let half = at(20, 39)[0];
        assert!(half > colour[0] / 2 && half < 255, "{half}");
        assert_eq!(at(20, 39), at(20, 41), "both edges alike");
    }

    #[test]
    fn labels_are_written() {
        let rgb = vec![0; 100 * 80 * 3];
        let named = |label| {
            let boxed = drawn([20.0, 30.0, 80.0, 70.0], label, BoxKind::Predicted);
            draw_boxes(100, 80, &rgb, &[boxed]).unwrap()
        };
        let white = |out: &[u8]| out.chunks(3).filter(|p| **p == [255; 3]).count();
        let bits = |text: &str| -> usize {
            let ones = |c| {
                font::columns(c)
                    .iter()
                    .map(|b| b.count_ones() as usize)
                    .sum::<usize>()
            };
            text.chars().map(ones).sum()
        };
        assert_eq!(white(&named("dog")), bits("dog"));
        assert_eq!(white(&named("")), 0);
        // 100 pixels hold 16 letters with their rims.
        assert_eq!(
            white(&named("a very long name of a thing")),
            bits("a very long na..")
        );
    }

    #[test]
    fn larger_pictures_get_larger_letters() {
        let boxed = [drawn([100.0, 200.0, 600.0, 600.0], "x", BoxKind::Predicted)];
        let out = draw_boxes(700, 640, &vec![0; 700 * 640 * 3], &boxed).unwrap();
        let white = out.chunks(3).filter(|p| **p == [255; 3]).count();
        assert_eq!(white, 9 * 9, "nine dots of the x, three pixels each way");
    }

    #[test]
    fn wrong_input_is_named() {
        assert!(draw_boxes(2, 2, &[0; 3], &[]).is_err());
        let nan = drawn([f32::NAN, 0.0, 1.0, 1.0], "dog", BoxKind::Predicted);
        let message = draw_boxes(1, 1, &[0; 3], &[nan]).unwrap_err().to_string();
        assert!(message.starts_with("box 0 (\"dog\") is (NaN"), "{message}");
    }

    proptest! {
        #[test]
        fn any_box_is_drawn(
            width in 1_u32..90, height in 1_u32..90,
            corners in prop::array::uniform4(-200.0_f32..200.0), label in ".{0,30}", truth: bool,
        ) {
            let [a, b, c, d] = corners;
            let kind = if truth { BoxKind::Truth } else { BoxKind::Predicted };
            let boxed = drawn([a.min(c), b.min(d), a.max(c), b.max(d)], &label, kind);
            let rgb = vec![9; (width * height * 3) as usize];
            let out = draw_boxes(width, height, &rgb, &[boxed.clone(), boxed]).unwrap();
            prop_assert_eq!(out.len(), rgb.len());
        }
    }
}
