//! The card of a picture with its predictions.

use std::fmt::Write;

use super::PredictedPicture;
use crate::bars::{bar, probability};
use crate::grid::legend;
use crate::html::Esc;
use crate::overlay::overlay;
use crate::palette::Palette;
use crate::picture::{check_boxes, left_out, objects};
use crate::shot::Shot;
use crate::{BoxKind, PictureError};

/// Width of the picture on the page, in CSS pixels.
const WIDTH: f64 = 460.0;

pub(super) fn card(
    out: &mut String,
    index: usize,
    picture: &PredictedPicture,
    palette: &Palette,
) -> Result<(), PictureError> {
    check_boxes(&picture.boxes)?;
    let size = (picture.width, picture.height);
    let pixels = (picture.width, picture.height, &picture.rgb[..]);
    let shot = Shot::new(format!("pixels-{index}"), &picture.title, pixels, WIDTH)?;
    let boxes = overlay(size, shot.size.0, &picture.boxes);
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "<article class=\"card\" id=\"picture-{index}\"><h3 class=\"name\">{}</h3><div class=\"prediction\"><div>\
         <div class=\"frame\" style=\"max-width:{:.0}px\">{}{}</div>",
        Esc(&picture.title),
        shot.size.0,
        shot.first(),
        boxes.svg
    );
    left_out(out, boxes.left_out);
    objects(out, "Objects", &picture.boxes, BoxKind::Predicted);
    objects(out, "True objects", &picture.boxes, BoxKind::Truth);
    out.push_str("</div><div>");
    texts(out, picture);
    out.push_str("</div></div>");
    heats(out, picture, &shot)?;
    codes(out, picture, &shot, palette)?;
    out.push_str("</article>");
    Ok(())
}

fn texts(out: &mut String, picture: &PredictedPicture) {
    if !picture.captions.is_empty() {
        out.push_str("<h3>Captions</h3><ul class=\"said\">");
        for (text, log_probability) in &picture.captions {
            let text = if text.trim().is_empty() {
                "<i class=\"detail\">empty</i>".to_owned()
            } else {
                Esc(text).to_string()
            };
            let _ = write!(
                out,
                "<li><span>{text}</span><span class=\"score\">log p {log_probability:.2}</span></li>"
            );
        }
        out.push_str("</ul>");
    }
    for question in &picture.questions {
        let _ = write!(
            out,
            "<h3>Question</h3><p class=\"question\">{}</p>",
            Esc(&question.question)
        );
        bars(out, &question.answers);
    }
    if !picture.matches.is_empty() {
        out.push_str("<h3>Does the text match?</h3><div class=\"matches\">");
        bars(out, &picture.matches);
        out.push_str("</div>");
    }
}

fn bars(out: &mut String, answers: &[(String, f32)]) {
    for (text, value) in answers {
        bar(out, "", text, f64::from(*value), &probability(*value));
    }
}

fn heats(out: &mut String, picture: &PredictedPicture, shot: &Shot) -> Result<(), PictureError> {
    if picture.heats.is_empty() {
        return Ok(());
    }
    out.push_str("<h3>Heat maps</h3><div class=\"heats\">");
    for heat in &picture.heats {
        heat.check()?;
        let _ = write!(
            out,
            "<figure>{}<figcaption><b>{}</b> <span class=\"score\">{:.3}</span></figcaption></figure>",
            shot.again(&heat.title, &heat.layer(shot.size)?),
            Esc(&heat.title),
            heat.peak()
        );
    }
    out.push_str("</div>");
    Ok(())
}

fn codes(
    out: &mut String,
    picture: &PredictedPicture,
    shot: &Shot,
    palette: &Palette,
) -> Result<(), PictureError> {
    let Some(grid) = &picture.codes else {
        return Ok(());
    };
    grid.check()?;
    let mut layer = String::new();
    grid.layer(&mut layer, shot.size, palette, |_| false)?;
    let _ = write!(
        out,
        "<h3>Codes of the cells</h3><div style=\"max-width:{:.0}px\">{}</div>",
        shot.size.0,
        shot.again("codes", &layer)
    );
    legend(out, grid, palette, |_| false);
    Ok(())
}
