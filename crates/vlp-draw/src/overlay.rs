//! Boxes and their labels over an image, as SVG.

use maud::{Markup, html};

use crate::label_placement::{Rect, place_label};
use crate::svg::{FONT_FAMILY, Px, text_width, truncate};
use crate::{BoxKind, DrawnBox, class_color};

const FONT_SIZE: f64 = 11.0;
const LABEL_HEIGHT: f64 = 16.0;
const LABEL_PADDING: f64 = 4.0;
/// Maximum width of a class name in font sizes; a longer one would cover its neighbors.
const MAX_NAME_WIDTH: f64 = 14.0;

/// An overlay and what it does not show.
pub(crate) struct Overlay {
    /// The SVG element.
    pub(crate) svg: Markup,
    /// Number of labels without a free position.
    pub(crate) hidden_labels: usize,
}

impl Overlay {
    /// A remark on labels that are not shown.
    pub(crate) fn hint(&self) -> Markup {
        let noun = if self.hidden_labels == 1 {
            "label"
        } else {
            "labels"
        };
        html! {
            @if self.hidden_labels > 0 {
                p.hint { (self.hidden_labels) " " (noun) " without a free position; the list has all labels." }
            }
        }
    }
}

/// Draws finite boxes over an image of `size` pixels that is shown `shown_width` units wide (1 unit is 1 CSS
/// pixel at the usual width of the card, so that text has the same size on every image).
pub(crate) fn overlay(size: (u32, u32), shown_width: f64, boxes: &[DrawnBox]) -> Overlay {
    let scale = shown_width / f64::from(size.0);
    let area = Rect {
        x: 0.0,
        y: 0.0,
        width: shown_width,
        height: f64::from(size.1) * scale,
    };
    // Predicted boxes first and wide, true ones narrow on top: where they agree both are visible.
    let of_kind = |kind| boxes.iter().filter(move |drawn| drawn.kind == kind);
    let visible: Vec<(&DrawnBox, Rect)> = of_kind(BoxKind::Predicted)
        .chain(of_kind(BoxKind::Truth))
        .filter_map(|drawn| Some((drawn, clipped(drawn, scale, area)?)))
        .collect();
    let (mut labels, mut occupied, mut hidden_labels) = (Vec::new(), Vec::new(), 0);
    for (drawn, rect) in &visible {
        let is_repeated =
            |(other, other_rect): &(&DrawnBox, Rect)| repeats(other, other_rect, drawn, rect);
        if drawn.kind == BoxKind::Truth && visible.iter().any(is_repeated) {
            continue;
        }
        let score = drawn
            .score
            .map(|score| format!(" {score:.2}"))
            .unwrap_or_default();
        let name_width = (area.width - 2.0 * LABEL_PADDING) / FONT_SIZE - text_width(&score);
        let name = truncate(&drawn.label, name_width.min(MAX_NAME_WIDTH));
        let text = format!("{name}{score}");
        if text.is_empty() {
            continue;
        }
        let width = text_width(&text) * FONT_SIZE + 2.0 * LABEL_PADDING;
        match place_label(rect, (width, LABEL_HEIGHT), drawn.kind, area, &occupied) {
            Some(spot) => {
                labels.push(label(drawn, &text, spot));
                occupied.push(spot);
            }
            None => hidden_labels += 1,
        }
    }
    let svg = html! {
        svg.overlay viewBox={ "0 0 " (Px(area.width)) " " (Px(area.height)) } aria-hidden="true"
            font-family=(FONT_FAMILY) font-size=(FONT_SIZE) {
            @for (drawn, rect) in &visible { (outline(drawn, rect)) }
            @for label in &labels { (label) }
        }
    };
    Overlay { svg, hidden_labels }
}

/// The visible part of a box in overlay units; `None` if the box is outside the image.
fn clipped(drawn: &DrawnBox, scale: f64, area: Rect) -> Option<Rect> {
    let edge = |value: f32, end: f64| (f64::from(value) * scale).clamp(1.5, (end - 1.5).max(1.5));
    let outside = |lo: f32, hi: f32, end: f64| f64::from(hi) < 0.0 || f64::from(lo) * scale > end;
    if outside(drawn.x0, drawn.x1, area.width) || outside(drawn.y0, drawn.y1, area.height) {
        return None;
    }
    let (x, y) = (edge(drawn.x0, area.width), edge(drawn.y0, area.height));
    Some(Rect {
        x,
        y,
        width: edge(drawn.x1, area.width) - x,
        height: edge(drawn.y1, area.height) - y,
    })
}

/// Whether a true label would only repeat that of a prediction with an IoU of at least 0.5.
fn repeats(other: &DrawnBox, other_rect: &Rect, drawn: &DrawnBox, rect: &Rect) -> bool {
    let overlap = |a: f64, a_size: f64, b: f64, b_size: f64| {
        ((a + a_size).min(b + b_size) - a.max(b)).max(0.0)
    };
    let intersection = overlap(other_rect.x, other_rect.width, rect.x, rect.width)
        * overlap(other_rect.y, other_rect.height, rect.y, rect.height);
    let union = other_rect.width * other_rect.height + rect.width * rect.height - intersection;
    other.kind == BoxKind::Predicted && other.label == drawn.label && intersection >= 0.5 * union
}

/// A colored rectangle with a white rim.
fn outline(drawn: &DrawnBox, rect: &Rect) -> Markup {
    let color = class_color(&drawn.label).to_string();
    let (rim_opacity, rim_width, width, dashes) = match drawn.kind {
        BoxKind::Predicted => (Some(".6"), "4.4", "3", None),
        BoxKind::Truth => (None, "1.8", "1.8", Some("6 4")),
    };
    let strokes = [
        ("#fff", rim_opacity, rim_width, None),
        (color.as_str(), None, width, dashes),
    ];
    html! {
        @for (stroke, opacity, width, dashes) in strokes {
            rect x=(Px(rect.x)) y=(Px(rect.y)) width=(Px(rect.width)) height=(Px(rect.height)) fill="none"
                stroke=(stroke) stroke-opacity=[opacity] stroke-width=(width) stroke-dasharray=[dashes] {}
        }
    }
}

fn label(drawn: &DrawnBox, text: &str, spot: Rect) -> Markup {
    let color = class_color(&drawn.label).to_string();
    let (fill, text_color) = match drawn.kind {
        BoxKind::Predicted => (color.as_str(), "#fff"),
        BoxKind::Truth => ("#fff", color.as_str()),
    };
    html! {
        rect x=(Px(spot.x)) y=(Px(spot.y)) width=(Px(spot.width)) height=(LABEL_HEIGHT) rx="3" fill=(fill) {}
        text x=(Px(spot.x + LABEL_PADDING)) y=(Px(spot.y + 12.0)) textLength=(Px(spot.width - 2.0 * LABEL_PADDING))
            lengthAdjust="spacingAndGlyphs" fill=(text_color) { (text) }
    }
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
    fn true_boxes_are_dashed_and_boxes_outside_the_image_are_not_drawn() {
        let truth = overlay(
            (64, 64),
            340.0,
            &[drawn((1.0, 1.0, 9.0, 9.0), "dog", BoxKind::Truth)],
        )
        .svg
        .into_string();
        let predicted = overlay(
            (64, 64),
            340.0,
            &[drawn((1.0, 1.0, 9.0, 9.0), "dog", BoxKind::Predicted)],
        )
        .svg
        .into_string();
        assert!(truth.contains("stroke-dasharray") && !predicted.contains("stroke-dasharray"));
        let outside = overlay(
            (64, 64),
            340.0,
            &[drawn((70.0, 1.0, 90.0, 9.0), "dog", BoxKind::Truth)],
        )
        .svg
        .into_string();
        assert!(!outside.contains("<rect"));
    }

    #[test]
    fn labels_without_a_free_position_are_counted() {
        let boxes = vec![drawn((10.0, 10.0, 20.0, 20.0), "refrigerator", BoxKind::Predicted); 400];
        let crowded = overlay((64, 64), 340.0, &boxes);
        let labels = crowded.svg.0.matches("<text").count();
        assert!(labels > 3 && crowded.hidden_labels > 0);
        assert_eq!(labels + crowded.hidden_labels, 400);
    }

    #[test]
    fn true_label_of_a_correct_prediction_is_not_shown() {
        let shifted = |x: f32, kind| drawn((x, 10.0, x + 20.0, 30.0), "dog", kind);
        let count = |x| {
            let boxes = [
                shifted(10.0, BoxKind::Truth),
                shifted(x, BoxKind::Predicted),
            ];
            overlay((64, 64), 340.0, &boxes)
                .svg
                .into_string()
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
        fn labels_stay_inside_the_image_and_do_not_overlap(
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
            let bottom = (340.0 * f64::from(height) / f64::from(width)).max(LABEL_HEIGHT);
            let mut labels = Vec::new();
            for tag in shown.svg.0.split('<').filter(|tag| tag.contains("rx=\"3\"")) {
                let Some([x, y, w]) = numbers(tag, ["x", "y", "width"]) else { panic!("{tag}") };
                // Printed with one decimal.
                prop_assert!(x >= 0.0 && y >= 0.0 && x + w <= 340.1 && y + LABEL_HEIGHT <= bottom + 0.1, "{tag}");
                let label = Rect { x: x + 0.1, y: y + 0.1, width: w - 0.2, height: LABEL_HEIGHT - 0.2 };
                prop_assert!(!labels.iter().any(|other: &Rect| other.overlaps(&label)));
                labels.push(label);
            }
        }
    }
}
