//! The card of a picture: pixels, boxes, list of objects, captions.

use std::fmt::Write;

use crate::html::Esc;
use crate::overlay::overlay;
use crate::png::data_uri;
use crate::{BoxKind, DrawnBox, PictureCard, PictureError, colour_of};

/// Usual width of a picture on the page, in CSS pixels.
const WIDTH: f64 = 340.0;
/// Objects of a kind listed at once; the others fold away.
const LISTED: usize = 6;

pub(crate) fn card(
    out: &mut String,
    index: usize,
    picture: &PictureCard,
) -> Result<(), PictureError> {
    let uri = data_uri(picture.width, picture.height, &picture.rgb)?;
    check_boxes(&picture.boxes)?;
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    // Upright pictures are narrowed so that one card does not fill a screen.
    let shown = (420.0 * width / height)
        .clamp(220.0, WIDTH)
        .min((1200.0 * width / height).max(24.0));
    let boxes = overlay((picture.width, picture.height), shown, &picture.boxes);
    let pixelated = if shown >= 1.5 * width {
        " class=\"pixelated\""
    } else {
        ""
    };
    let limit = if shown < WIDTH {
        format!(" style=\"max-width:{shown:.0}px\"")
    } else {
        String::new()
    };
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<figure class=\"card\" id=\"picture-{index}\"><figcaption>{}</figcaption><div class=\"frame\"{limit}>\
         <img{pixelated} src=\"{uri}\" width=\"{}\" height=\"{}\" alt=\"{}\">{}</div>",
        Esc(&picture.title),
        picture.width,
        picture.height,
        Esc(&picture.title),
        boxes.svg
    );
    left_out(out, boxes.left_out);
    objects(out, "Predicted", &picture.boxes, BoxKind::Predicted);
    objects(out, "True", &picture.boxes, BoxKind::Truth);
    captions(out, &picture.captions);
    out.push_str("</figure>");
    Ok(())
}

/// Says how many labels the picture had no room for.
pub(crate) fn left_out(out: &mut String, labels: usize) {
    if labels > 0 {
        let noun = if labels == 1 { "label" } else { "labels" };
        let _ = write!(
            out,
            "<p class=\"hint\">{labels} {noun} left out for want of room; the list has all.</p>"
        );
    }
}

/// Errors unless every box has finite corners in their order.
pub(crate) fn check_boxes(boxes: &[DrawnBox]) -> Result<(), PictureError> {
    for (index, drawn) in boxes.iter().enumerate() {
        let &DrawnBox { x0, y0, x1, y1, .. } = drawn;
        let finite = [x0, y0, x1, y1].iter().all(|edge| edge.is_finite());
        if !finite || x0 > x1 || y0 > y1 {
            return Err(PictureError::Box {
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

/// The list of the objects of one kind.
pub(crate) fn objects(out: &mut String, heading: &str, boxes: &[DrawnBox], kind: BoxKind) {
    let rows: Vec<_> = boxes
        .iter()
        .filter(|drawn| drawn.kind == kind)
        .map(object)
        .collect();
    if rows.is_empty() {
        return;
    }
    // Folding away a single row would save nothing.
    let listed = if rows.len() <= LISTED + 1 {
        rows.len()
    } else {
        LISTED
    };
    let _ = write!(
        out,
        "<h3>{heading} <span class=\"count\">{}</span></h3><ul class=\"objects\">{}</ul>",
        rows.len(),
        rows[..listed].concat()
    );
    if listed < rows.len() {
        let _ = write!(
            out,
            "<details><summary>{} more</summary><ul class=\"objects\">{}</ul></details>",
            rows.len() - listed,
            rows[listed..].concat()
        );
    }
}

fn object(drawn: &DrawnBox) -> String {
    let style = match drawn.kind {
        BoxKind::Predicted => "solid",
        BoxKind::Truth => "dashed",
    };
    let mut row = format!(
        "<li><span class=\"swatch\" style=\"border:2px {style} {}\"></span><span><b>{}</b>",
        colour_of(&drawn.label),
        Esc(&drawn.label)
    );
    if !drawn.detail.is_empty() {
        let _ = write!(row, " <span class=\"detail\">{}</span>", Esc(&drawn.detail));
    }
    row.push_str("</span>");
    if let Some(score) = drawn.score {
        let _ = write!(row, "<span class=\"score\">{score:.2}</span>");
    }
    row.push_str("</li>");
    row
}

fn captions(out: &mut String, captions: &[(String, String)]) {
    if captions.is_empty() {
        return;
    }
    out.push_str("<dl class=\"captions\"><dt>Generated</dt><dt>Reference</dt>");
    for (generated, reference) in captions {
        for text in [generated, reference] {
            let shown = if text.trim().is_empty() {
                "<i class=\"detail\">empty</i>".to_owned()
            } else {
                Esc(text).to_string()
            };
            let _ = write!(out, "<dd>{shown}</dd>");
        }
    }
    out.push_str("</dl>");
}
