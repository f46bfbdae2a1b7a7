//! Boxes of objects, and the lists of objects below an image.

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::{ImageError, class_color};

/// An object in an image.
///
/// Corners are in pixels from the top left corner of the image, finite, with `x0 <= x1` and
/// `y0 <= y1`; the part outside the image is not drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrawnBox {
    /// Left edge.
    pub x0: f32,
    /// Top edge.
    pub y0: f32,
    /// Right edge.
    pub x1: f32,
    /// Bottom edge.
    pub y1: f32,
    /// Class name; determines the color, see [`class_color`].
    pub label: String,
    /// Confidence of a predicted box, in 0..=1.
    #[serde(default)]
    pub score: Option<f32>,
    /// Whether the box is annotated or predicted.
    pub kind: BoxKind,
    /// Further facts for the list below the image, such as attributes; may be empty.
    #[serde(default)]
    pub detail: String,
}

/// Origin of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoxKind {
    /// Annotated: drawn dashed.
    Truth,
    /// Predicted: drawn solid.
    Predicted,
}

/// Objects of one kind listed at once; the others are folded away.
const MAX_LISTED: usize = 6;

/// Errors unless every box has finite corners in the right order.
pub(crate) fn check_boxes(boxes: &[DrawnBox]) -> Result<(), ImageError> {
    for (index, drawn) in boxes.iter().enumerate() {
        let &DrawnBox { x0, y0, x1, y1, .. } = drawn;
        let is_finite = [x0, y0, x1, y1].iter().all(|edge| edge.is_finite());
        if !is_finite || x0 > x1 || y0 > y1 {
            return Err(ImageError::Box {
                index,
                label: drawn.label.clone(),
                x0,
                y0,
                x1,
                y1,
            });
        }
    }
    Ok(())
}

/// The list of the objects of one kind; nothing if there are none.
pub(crate) fn object_list(heading: &str, boxes: &[DrawnBox], kind: BoxKind) -> Markup {
    let of_kind = boxes.iter().filter(|drawn| drawn.kind == kind);
    let items: Vec<Markup> = of_kind.map(object_item).collect();
    // Folding away a single item would save nothing.
    let listed = if items.len() <= MAX_LISTED + 1 {
        items.len()
    } else {
        MAX_LISTED
    };
    html! {
        @if !items.is_empty() {
            h3 { (heading) " " span.count { (items.len()) } }
            ul.objects { @for item in &items[..listed] { (item) } }
        }
        @if listed < items.len() {
            details {
                summary { (items.len() - listed) " more" }
                ul.objects { @for item in &items[listed..] { (item) } }
            }
        }
    }
}

fn object_item(drawn: &DrawnBox) -> Markup {
    let border = match drawn.kind {
        BoxKind::Predicted => "solid",
        BoxKind::Truth => "dashed",
    };
    html! {
        li {
            span.swatch style={ "border:2px " (border) " " (class_color(&drawn.label)) } {}
            span {
                b { (drawn.label) }
                @if !drawn.detail.is_empty() { " " span.detail { (drawn.detail) } }
            }
            @if let Some(score) = drawn.score { span.score { (format_args!("{score:.2}")) } }
        }
    }
}
