//! Sentences with masked words and their predictions.

use std::fmt::Write;

use crate::bars::bar;
use crate::html::Esc;
use crate::png::{data_uri, thumbnail};
use crate::{MaskedText, PictureCard, PictureError, Prediction};

/// One sentence; `seen` is its picture with its index.
pub(crate) fn text(
    out: &mut String,
    masked: &MaskedText,
    seen: Option<(usize, &PictureCard)>,
) -> Result<(), PictureError> {
    out.push_str("<article class=\"card masked\">");
    if let Some((index, picture)) = seen {
        let (width, height, rgb) = thumbnail(picture.width, picture.height, &picture.rgb, 96);
        let pixelated = if width < 64 {
            " class=\"pixelated\""
        } else {
            ""
        };
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<a href=\"#picture-{index}\"><img{pixelated} src=\"{}\" alt=\"{}\"></a>",
            data_uri(width, height, &rgb)?,
            Esc(&picture.title)
        );
    }
    out.push_str("<div><p class=\"sentence\">");
    let mut count = 0;
    for (i, word) in masked.words.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        match &word.masked {
            None => {
                let _ = write!(out, "{}", Esc(&word.text));
            }
            Some(prediction) => {
                count += 1;
                let _ = write!(
                    out,
                    "<mark class=\"{}\">{}<sup>{count}</sup></mark>",
                    verdict(prediction),
                    Esc(&word.text)
                );
            }
        }
    }
    out.push_str("</p>");
    let predictions = masked.words.iter().filter_map(|word| word.masked.as_ref());
    if count > 0 {
        out.push_str("<div class=\"guesses\">");
        for (number, prediction) in (1..).zip(predictions) {
            guesses(out, number, prediction);
        }
        out.push_str("</div>");
    }
    out.push_str("</div></article>");
    Ok(())
}

fn verdict(prediction: &Prediction) -> &'static str {
    if prediction.is_right() {
        "right"
    } else {
        "wrong"
    }
}

fn guesses(out: &mut String, number: usize, prediction: &Prediction) {
    let (class, sign) = if prediction.is_right() {
        ("right", "✓")
    } else {
        ("wrong", "✗")
    };
    let _ = write!(
        out,
        "<div class=\"guess {class}\"><p><sup>{number}</sup> truth <b>{}</b> <span class=\"sign\" role=\"img\" \
         aria-label=\"{class}\">{sign}</span></p>",
        Esc(&prediction.truth)
    );
    for (word, probability) in &prediction.top {
        let hit = *word == prediction.truth;
        bar(
            out,
            if hit { " hit" } else { "" },
            word,
            f64::from(*probability),
            &format!("{probability:.2}"),
        );
    }
    out.push_str("</div>");
}
