//! The page of a data set: samples, counts and issues.

mod card;
mod types;

use maud::{Markup, html};

use crate::DrawError;
use crate::bars::bar;
use crate::layout::{notes, page, summary};
use crate::table::table_section;
pub use types::{Histogram, SampleCard, SampleImage, SamplesPage};

/// The page of a data set as one self-contained HTML file: no script, no network access, and the same input
/// gives the same bytes.
///
/// # Errors
/// [`DrawError::Image`] for pixels or boxes that cannot be drawn, with the index of the sample;
/// [`DrawError::Row`] for a row of the issues with a wrong number of cells.
///
/// ```
/// use vlp_draw::{SampleCard, SampleImage, SamplesPage, render_samples};
///
/// let sample = SampleCard {
///     title: "cat.jpg".into(),
///     images: vec![SampleImage { width: 2, height: 2, rgb: vec![90; 12], boxes: vec![] }],
///     texts: vec!["a cat".into()],
///     facts: vec![],
/// };
/// let page = render_samples(&SamplesPage { samples: vec![sample], ..SamplesPage::default() })?;
/// assert!(page.contains("a cat"));
/// # Ok::<(), vlp_draw::DrawError>(())
/// ```
pub fn render_samples(data: &SamplesPage) -> Result<String, DrawError> {
    let card = |(index, sample): (usize, &SampleCard)| {
        card::sample_card(index, sample).map_err(|problem| DrawError::Image {
            index,
            title: sample.title.clone(),
            problem,
        })
    };
    let content = html! {
        (summary(&data.summary))
        (table_section("Issues", &data.issues)?)
        @if !data.samples.is_empty() {
            section {
                h2 { "Samples" }
                div.cards.samples { @for sample in data.samples.iter().enumerate() { (card(sample)?) } }
            }
        }
        @if !data.histograms.is_empty() {
            section {
                h2 { "Counts" }
                div.cards { @for histogram in &data.histograms { (histogram_card(histogram)) } }
            }
        }
        (notes(&data.notes))
    };
    Ok(page(&data.title, include_str!("samples.css"), &content))
}

fn histogram_card(histogram: &Histogram) -> Markup {
    let max = histogram.bars.iter().map(|(_, count)| *count).max();
    let fraction = |count: u64| count as f64 / max.unwrap_or_default() as f64;
    html! {
        article.card.histogram {
            h3.name { (histogram.title) }
            @if !histogram.hint.is_empty() { p.hint { (histogram.hint) } }
            @for (name, count) in &histogram.bars { (bar(name, fraction(*count), &count.to_string())) }
        }
    }
}
