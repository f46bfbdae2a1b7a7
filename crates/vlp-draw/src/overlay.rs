//! Boxes and their labels over a picture, as SVG.

use std::fmt::Write;

use crate::html::{Esc, fit, text_width};
use crate::place::{Rect, place};
use crate::{BoxKind, DrawnBox, colour_of};

const FONT: f64 = 11.0;
const CHIP: f64 = 16.0;
const PAD: f64 = 4.0;
/// Longest class name in units of the font size; a longer one would cover its neighbours.
const LONGEST: f64 = 14.0;

/// An overlay and what it could not show.
pub(crate) struct Overlay {
    /// The SVG element, without the XML namespace.
    pub(crate) svg: String,
    /// Labels left out because every place for them was taken.
    pub(crate) left_out: usize,
}

/// Draws finite boxes over a picture of `size` pixels shown `shown` units wide (1 unit is 1 CSS
/// pixel at the card's usual width, so that text has one size on every picture).
pub(crate) fn overlay(size: (u32, u32), shown: f64, boxes: &[DrawnBox]) -> Overlay {
    let scale = shown / f64::from(size.0);
    let area = Rect {
        x: 0.0,
        y: 0.0,
        w: shown,
        h: f64::from(size.1) * scale,
    };
    let mut svg = format!(
        "<svg class=\"overlay\" viewBox=\"0 0 {:.1} {:.1}\" aria-hidden=\"true\" font-family=\"system-ui, -apple-system, \
         'Segoe UI', Roboto, Helvetica, Arial, sans-serif\" font-size=\"{FONT}\">",
        area.w, area.h
    );
    // Predicted boxes first and wide, true ones narrow on top: where they agree both can be seen.
    let order = |kind| boxes.iter().filter(move |drawn| drawn.kind == kind);
    let all: Vec<_> = order(BoxKind::Predicted)
        .chain(order(BoxKind::Truth))
        .collect();
    let visible: Vec<_> = all
        .iter()
        .filter_map(|drawn| Some((*drawn, clipped(drawn, scale, area)?)))
        .collect();
    for (drawn, rect) in &visible {
        outline(&mut svg, drawn, rect);
    }
    let mut taken: Vec<Rect> = Vec::new();
    let mut left_out = 0;
    for (drawn, rect) in &visible {
        if drawn.kind == BoxKind::Truth
            && visible
                .iter()
                .any(|(other, at)| repeats(other, at, drawn, rect))
        {
            continue;
        }
        let score = drawn
            .score
            .map(|score| format!(" {score:.2}"))
            .unwrap_or_default();
        let room = ((area.w - 2.0 * PAD) / FONT - text_width(&score)).min(LONGEST);
        let text = format!("{}{score}", fit(&drawn.label, room));
        if text.is_empty() {
            continue;
        }
        let width = text_width(&text) * FONT + 2.0 * PAD;
        match place(rect, (width, CHIP), drawn.kind, area, &taken) {
            Some(spot) => {
                chip(&mut svg, drawn, &text, spot);
                taken.push(spot);
            }
            None => left_out += 1,
        }
    }
    svg.push_str("</svg>");
    Overlay { svg, left_out }
}

/// The visible part of a box in overlay units, or `None` where it lies outside the picture.
pub(crate) fn clipped(drawn: &DrawnBox, scale: f64, area: Rect) -> Option<Rect> {
    let edge = |value: f32, end: f64| (f64::from(value) * scale).clamp(1.5, (end - 1.5).max(1.5));
    let outside = |lo: f32, hi: f32, end: f64| f64::from(hi) < 0.0 || f64::from(lo) * scale > end;
    if outside(drawn.x0, drawn.x1, area.w) || outside(drawn.y0, drawn.y1, area.h) {
        return None;
    }
    let (x, y) = (edge(drawn.x0, area.w), edge(drawn.y0, area.h));
    Some(Rect {
        x,
        y,
        w: edge(drawn.x1, area.w) - x,
        h: edge(drawn.y1, area.h) - y,
    })
}

/// Whether a true label would only repeat that of a prediction which covers it well.
fn repeats(other: &DrawnBox, at: &Rect, drawn: &DrawnBox, rect: &Rect) -> bool {
    let overlap = |a: f64, a_size: f64, b: f64, b_size: f64| {
        ((a + a_size).min(b + b_size) - a.max(b)).max(0.0)
    };
    let shared = overlap(at.x, at.w, rect.x, rect.w) * overlap(at.y, at.h, rect.y, rect.h);
    let union = at.w * at.h + rect.w * rect.h - shared;
    other.kind == BoxKind::Predicted && other.label == drawn.label && shared >= 0.5 * union
}

fn outline(svg: &mut String, drawn: &DrawnBox, rect: &Rect) {
    let shape = format!(
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"none\"",
        rect.x, rect.y, rect.w, rect.h
    );
    let colour = colour_of(&drawn.label);
    // Writing to a String cannot fail.
    let _ = match drawn.kind {
        BoxKind::Predicted => write!(
            svg,
            "{shape} stroke=\"#fff\" stroke-opacity=\".6\" stroke-width=\"4.4\"/>{shape} stroke=\"{colour}\" stroke-width=\"3\"/>"
        ),
        BoxKind::Truth => write!(
            svg,
            "{shape} stroke=\"#fff\" stroke-width=\"1.8\"/>{shape} stroke=\"{colour}\" stroke-width=\"1.8\" stroke-dasharray=\"6 4\"/>"
        ),
    };
}

fn chip(svg: &mut String, drawn: &DrawnBox, text: &str, spot: Rect) {
    let colour = colour_of(&drawn.label).to_string();
    let (fill, ink) = match drawn.kind {
        BoxKind::Predicted => (colour.as_str(), "#fff"),
        BoxKind::Truth => ("#fff", colour.as_str()),
    };
    let _ = write!(
        svg,
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{CHIP}\" rx=\"3\" fill=\"{fill}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{ink}\">{}</text>",
        spot.x,
        spot.y,
        spot.w,
        spot.x + PAD,
        spot.y + 12.0,
        spot.w - 2.0 * PAD,
        Esc(text)
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn drawn(corners: (f32, f32, f32, f32), label: &str, kind: BoxKind) -> DrawnBox {
        let (x0, y0, x1, y1) = corners;
        DrawnBox {
            x0,
            y0,
            x1,
            y1,
            label: label.into(),
            score: Some(0.5),
            kind,
            detail: String::new(),
        }
    }

    #[test]
    fn kinds_differ_and_boxes_outside_are_not_drawn() {
        let truth = overlay(
            (64, 64),
            340.0,
            &[drawn((1.0, 1.0, 9.0, 9.0), "dog", BoxKind::Truth)],
        )
        .svg;
        let predicted = overlay(
            (64, 64),
            340.0,
            &[drawn((1.0, 1.0, 9.0, 9.0), "dog", BoxKind::Predicted)],
        )
        .svg;
        assert!(truth.contains("stroke-dasharray") && !predicted.contains("stroke-dasharray"));
        let outside = overlay(
            (64, 64),
            340.0,
            &[drawn((70.0, 1.0, 90.0, 9.0), "dog", BoxKind::Truth)],
        )
        .svg;
        assert!(!outside.contains("<rect"));
    }

    #[test]
    fn crowded_labels_are_counted_not_piled_up() {
        let boxes = vec![drawn((10.0, 10.0, 20.0, 20.0), "refrigerator", BoxKind::Predicted); 400];
        let crowded = overlay((64, 64), 340.0, &boxes);
        let chips = crowded.svg.matches("<text").count();
        assert!(chips > 3 && crowded.left_out > 0);
        assert_eq!(chips + crowded.left_out, 400);
    }

    #[test]
    fn agreeing_labels_are_shown_once() {
        let at = |x: f32, kind| drawn((x, 10.0, x + 20.0, 30.0), "dog", kind);
        let count = |x| {
            let boxes = [at(10.0, BoxKind::Truth), at(x, BoxKind::Predicted)];
            overlay((64, 64), 340.0, &boxes)
                .svg
                .matches("<text")
                .count()
        };
        // Shifted by a quarter of their width, boxes have an IoU of 0.6; by a half, of 1/3.
        assert_eq!((count(10.0), count(15.0), count(20.0)), (1, 1, 2));
    }

    fn numbers(tag: &str, names: [&str; 3]) -> Option<[f64; 3]> {
        let value = |name: &str| {
            tag.split_once(&format!(" {name}=\""))?
                .1
                .split('"')
                .next()?
                .parse()
                .ok()
        };
        Some([value(names[0])?, value(names[1])?, value(names[2])?])
    }

    proptest! {
        #[test]
        fn labels_stay_inside_and_apart(
            width in 30_u32..2000, height in 30_u32..2000,
            boxes in prop::collection::vec(
                ((-0.2_f32..1.2, -0.2_f32..1.2, 0.0_f32..1.0, 0.0_f32..1.0), "[a-zA-Z ]{1,60}", any::<bool>()), 0..20),
        ) {
            let (w, h) = (width as f32, height as f32);
            let boxes: Vec<_> = boxes.into_iter().map(|((x, y, dx, dy), label, truth)| {
                let kind = if truth { BoxKind::Truth } else { BoxKind::Predicted };
                drawn((x * w, y * h, (x + dx) * w, (y + dy) * h), &label, kind)
            }).collect();
            let shown = overlay((width, height), 340.0, &boxes);
            let bottom = (340.0 * f64::from(height) / f64::from(width)).max(CHIP);
            let mut chips = Vec::new();
            for tag in shown.svg.split('<').filter(|tag| tag.contains("rx=\"3\"")) {
                let Some([x, y, w]) = numbers(tag, ["x", "y", "width"]) else { panic!("{tag}") };
                // Printed with one decimal.
                prop_assert!(x >= 0.0 && y >= 0.0 && x + w <= 340.1 && y + CHIP <= bottom + 0.1, "{tag}");
                let chip = Rect { x: x + 0.1, y: y + 0.1, w: w - 0.2, h: CHIP - 0.2 };
                prop_assert!(!chips.iter().any(|other: &Rect| other.overlaps(&chip)));
                chips.push(chip);
            }
        }
    }
}
