//! The page of predictions for pictures.

mod card;

use serde::{Deserialize, Serialize};

use crate::heat::gradient;
use crate::html::Esc;
use crate::palette::Palette;
use crate::{CodeGrid, DrawError, DrawnBox, Heat, shell};

/// What a model says of some pictures. An empty part leaves its section out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictionPage {
    /// Heading and window title.
    pub title: String,
    /// Short facts in the order shown, as (name, value): checkpoint, device, thresholds.
    pub summary: Vec<(String, String)>,
    /// One card each.
    pub pictures: Vec<PredictedPicture>,
    /// Remarks, such as files that could not be read.
    pub notes: Vec<String>,
}

/// A picture and all that was predicted for it; what was not asked for stays empty.
///
/// Probabilities that are not finite are printed as they are, without a bar. The pixels go into the
/// page once, as they are, as PNG: scale large photographs down beforehand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictedPicture {
    /// Heading, such as the file's name.
    pub title: String,
    /// Width in pixels, above 0.
    pub width: u32,
    /// Height in pixels, above 0.
    pub height: u32,
    /// `width * height * 3` bytes: rows from the top, each pixel red, green, blue.
    pub rgb: Vec<u8>,
    /// Predicted objects.
    pub boxes: Vec<DrawnBox>,
    /// Captions as (text, log-probability in nats, summed over the text), best first.
    pub captions: Vec<(String, f32)>,
    /// Questions and the model's answers.
    pub questions: Vec<Question>,
    /// Texts with the probability in 0..=1 that they match the picture.
    pub matches: Vec<(String, f32)>,
    /// Where the model looked, one small picture each.
    pub heats: Vec<Heat>,
    /// Codes of a visual dictionary.
    pub codes: Option<CodeGrid>,
}

/// A question on a picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Question {
    /// The question.
    pub question: String,
    /// Answers with their probability in 0..=1, most probable first.
    pub answers: Vec<(String, f32)>,
}

/// The page of predictions as one self-contained HTML file, as [`render`](crate::render) makes
/// them: no script, nothing fetched, the same input gives the same bytes.
///
/// # Errors
/// [`DrawError::Picture`] for pixels, boxes, heat maps or codes that cannot be drawn.
///
/// ```
/// use vlp_draw::{PredictedPicture, PredictionPage, render_prediction};
///
/// let picture = PredictedPicture {
///     title: "cat.jpg".into(), width: 2, height: 2, rgb: vec![90; 12],
///     captions: vec![("a cat".into(), -1.4)],
///     ..PredictedPicture::default()
/// };
/// let page = render_prediction(&PredictionPage { pictures: vec![picture], ..PredictionPage::default() })?;
/// assert!(page.contains("a cat"));
/// # Ok::<(), vlp_draw::DrawError>(())
/// ```
pub fn render_prediction(page: &PredictionPage) -> Result<String, DrawError> {
    let grids = page.pictures.iter().filter_map(|p| p.codes.as_ref());
    let palette = Palette::of(grids.flat_map(|grid| &grid.codes).flatten().copied());
    let mut out = shell::open(
        &page.title,
        concat!(
            include_str!("../codes.css"),
            include_str!("predictions.css")
        ),
    );
    shell::summary(&mut out, &page.summary);
    if !page.pictures.is_empty() {
        out.push_str("<section><h2>Pictures</h2>");
        if page
            .pictures
            .iter()
            .any(|picture| !picture.heats.is_empty())
        {
            out.push_str(&format!(
                "<p class=\"hint\">Heat maps: where the model looked, from <span class=\"scale\">0 <i style=\"background:{}\"></i> \
                 the map’s largest weight</span>, which stands beside its name.</p>",
                Esc(&gradient())
            ));
        }
        out.push_str("<div class=\"predictions\">");
        for (index, picture) in page.pictures.iter().enumerate() {
            card::card(&mut out, index, picture, &palette).map_err(|problem| {
                DrawError::Picture {
                    index,
                    title: picture.title.clone(),
                    problem,
                }
            })?;
        }
        out.push_str("</div></section>\n");
    }
    shell::notes(&mut out, &page.notes);
    out.push_str(shell::CLOSE);
    Ok(out)
}
