//! The card of a sample.

use std::fmt::Write;

use super::{SampleCard, SamplePicture};
use crate::html::Esc;
use crate::overlay::overlay;
use crate::picture::{check_boxes, left_out, objects};
use crate::png::data_uri;
use crate::{BoxKind, PictureError};

/// Greatest width of a picture on the page, in CSS pixels.
const WIDTH: f64 = 340.0;

pub(super) fn card(
    out: &mut String,
    index: usize,
    sample: &SampleCard,
) -> Result<(), PictureError> {
    let wide = if sample.pictures.len() > 1 {
        " wide"
    } else {
        ""
    };
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<figure class=\"card{wide}\" id=\"sample-{index}\"><figcaption>{}</figcaption><div class=\"beside\">",
        Esc(&sample.title)
    );
    for picture in &sample.pictures {
        shown(out, &sample.title, picture)?;
    }
    out.push_str("</div>");
    if !sample.texts.is_empty() {
        out.push_str("<ul class=\"said\">");
        for text in &sample.texts {
            if text.trim().is_empty() {
                out.push_str("<li><i class=\"detail\">empty</i></li>");
            } else {
                let _ = write!(out, "<li>{}</li>", Esc(text));
            }
        }
        out.push_str("</ul>");
    }
    if !sample.facts.is_empty() {
        out.push_str("<dl class=\"facts\">");
        for (name, value) in &sample.facts {
            let _ = write!(out, "<dt>{}</dt><dd>{}</dd>", Esc(name), Esc(value));
        }
        out.push_str("</dl>");
    }
    out.push_str("</figure>");
    Ok(())
}

fn shown(out: &mut String, title: &str, picture: &SamplePicture) -> Result<(), PictureError> {
    let uri = data_uri(picture.width, picture.height, &picture.rgb)?;
    check_boxes(&picture.boxes)?;
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    // Upright pictures are narrowed so that one card does not fill a screen.
    let shown = (400.0 * width / height).clamp(24.0, WIDTH);
    let boxes = overlay((picture.width, picture.height), shown, &picture.boxes);
    let pixelated = if shown >= 1.5 * width {
        " class=\"pixelated\""
    } else {
        ""
    };
    let _ = write!(
        out,
        "<div><div class=\"frame\" style=\"max-width:{shown:.0}px\"><img{pixelated} src=\"{uri}\" width=\"{}\" \
         height=\"{}\" alt=\"{}\">{}</div>",
        picture.width,
        picture.height,
        Esc(title),
        boxes.svg
    );
    left_out(out, boxes.left_out);
    objects(out, "Objects", &picture.boxes, BoxKind::Truth);
    objects(out, "Predicted", &picture.boxes, BoxKind::Predicted);
    out.push_str("</div>");
    Ok(())
}
