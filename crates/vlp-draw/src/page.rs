//! The report as one HTML file.

use std::fmt::Write;

use crate::html::Esc;
use crate::{DrawError, Report, curve, masked, picture, shell};

/// The report as one self-contained HTML file: no script, no address outside the file, for light
/// and dark screens, wide and narrow. The same report gives the same bytes.
///
/// # Errors
/// A picture whose pixels or boxes cannot be drawn, a row of the metrics that does not fit its
/// columns, a masked text whose picture is not there: see [`DrawError`].
///
/// ```
/// use vlp_draw::{Report, render};
///
/// let page = render(&Report { title: "A run".into(), ..Report::default() })?;
/// assert!(page.starts_with("<!doctype html>"));
/// # Ok::<(), vlp_draw::DrawError>(())
/// ```
pub fn render(report: &Report) -> Result<String, DrawError> {
    let mut out = shell::open(&report.title, "");
    shell::summary(&mut out, &report.summary);
    shell::table(&mut out, "Metrics", &report.metrics)?;
    curves(&mut out, report);
    pictures(&mut out, report)?;
    masked_texts(&mut out, report)?;
    shell::notes(&mut out, &report.notes);
    if !report.config.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<section><h2>Configuration</h2><details><summary>Show</summary><pre>{}</pre></details></section>",
            Esc(&report.config)
        );
    }
    out.push_str(shell::CLOSE);
    Ok(out)
}

fn curves(out: &mut String, report: &Report) {
    if report.curves.is_empty() {
        return;
    }
    out.push_str(
        "<section><h2>Curves</h2><p class=\"hint\">By training step. Thin: recorded values; thick: their exponential \
         moving average; beside the name: first and last value.</p><div class=\"curves\">",
    );
    for drawn in &report.curves {
        out.push_str(&curve::draw(drawn));
    }
    out.push_str("</div></section>\n");
}

fn pictures(out: &mut String, report: &Report) -> Result<(), DrawError> {
    if report.pictures.is_empty() {
        return Ok(());
    }
    out.push_str("<section><h2>Pictures</h2>");
    if report.pictures.iter().any(|card| !card.boxes.is_empty()) {
        out.push_str(
            "<p class=\"hint legend\"><span><span class=\"swatch\" style=\"border:2px solid\"></span> predicted</span> \
             <span><span class=\"swatch\" style=\"border:2px dashed\"></span> true</span> <span>one colour per class; a true label is left out where a prediction says the same</span></p>",
        );
    }
    out.push_str("<div class=\"cards\">");
    for (index, card) in report.pictures.iter().enumerate() {
        picture::card(out, index, card).map_err(|problem| DrawError::Picture {
            index,
            title: card.title.clone(),
            problem,
        })?;
    }
    out.push_str("</div></section>\n");
    Ok(())
}

fn masked_texts(out: &mut String, report: &Report) -> Result<(), DrawError> {
    if report.masked.is_empty() {
        return Ok(());
    }
    let words = report
        .masked
        .iter()
        .flat_map(|text| &text.words)
        .filter_map(|word| word.masked.as_ref());
    let (total, right) = words.fold((0, 0), |(total, right), word| {
        (total + 1, right + usize::from(word.is_right()))
    });
    let _ = write!(
        out,
        "<section><h2>Masked words</h2><p class=\"hint\">{right} of {total} predicted right. Bars: probability of the \
         first candidates.</p><div class=\"texts\">"
    );
    for (index, text) in report.masked.iter().enumerate() {
        let seen = match text.picture {
            None => None,
            Some(at) => {
                let missing = || DrawError::MaskedPicture {
                    index,
                    picture: at,
                    pictures: report.pictures.len(),
                };
                Some((at, report.pictures.get(at).ok_or_else(missing)?))
            }
        };
        masked::text(out, text, seen).map_err(|problem| {
            let (index, title) =
                seen.map_or((0, String::new()), |(at, card)| (at, card.title.clone()));
            DrawError::Picture {
                index,
                title,
                problem,
            }
        })?;
    }
    out.push_str("</div></section>\n");
    Ok(())
}
