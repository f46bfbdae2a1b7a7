//! The page of a data source: samples, distributions and issues.

use vlp_data::check::{CheckReport, Count, Distribution, HistogramBin};
use vlp_data::transform::resize_objects;
use vlp_data::{DataError, Image, Label, LabelSpace, Object, Sample, Source};
use vlp_draw::{Histogram, SampleCard, SampleImage, SamplesPage, Table, render_samples};

use super::boxes::annotated_box;
use super::page_image::page_image;
use crate::error::VlpError;

/// Maximum number of bars of a histogram of names.
const MAX_BARS: usize = 40;
/// Maximum number of issues on a page.
const MAX_ISSUES: usize = 200;

/// Cards of `count` samples, evenly spaced through a source, without unreadable ones.
///
/// # Errors
/// [`DataError::Store`] if a store of samples cannot be read.
pub fn sample_cards(source: &dyn Source, count: usize) -> Result<Vec<SampleCard>, DataError> {
    let total = source.len();
    let count = count.min(total);
    let mut cards = vec![];
    for number in 0..count {
        let index = number * total / count.max(1);
        match source.load(index) {
            Ok(sample) => cards.push(sample_card(&sample, source.labels_of(index))?),
            Err(error) if error.is_of_store() => return Err(error),
            Err(_) => {}
        }
    }
    Ok(cards)
}

fn sample_card(sample: &Sample, labels: &LabelSpace) -> Result<SampleCard, DataError> {
    let objects = sample.objects.as_deref().unwrap_or_default();
    let mut images = vec![sample_image(&sample.image, objects, labels)?];
    if let Some(image) = &sample.second_image {
        images.push(sample_image(image, &[], labels)?);
    }
    let mut facts = vec![("key".to_string(), sample.key.to_string())];
    if let Some(record) = &sample.record {
        facts.push(("record".into(), record.id.clone()));
        let question_type = record.question_type.clone();
        facts.extend(question_type.map(|question_type| ("question".into(), question_type)));
    }
    if let Some(label) = &sample.label {
        let text = match label {
            Label::Answers(answers) => answers.join(", "),
            Label::Truth(truth) => truth.to_string(),
            Label::Entailment(label) => format!("{label:?}").to_lowercase(),
        };
        facts.push(("label".into(), text));
    }
    Ok(SampleCard {
        title: sample.name.clone(),
        images,
        texts: sample.captions.clone(),
        facts,
    })
}

fn sample_image(
    image: &Image,
    objects: &[Object],
    labels: &LabelSpace,
) -> Result<SampleImage, DataError> {
    let shown = page_image(image)?.image;
    let sizes = [image, &shown].map(|image| (image.width, image.height));
    let objects = resize_objects(objects, sizes[0], sizes[1]);
    let boxes = objects.iter().map(|object| annotated_box(object, labels));
    Ok(SampleImage {
        width: shown.width as u32,
        height: shown.height as u32,
        boxes: boxes.collect(),
        rgb: shown.rgb,
    })
}

/// The page of a source.
///
/// # Errors
/// [`VlpError::Draw`] for an image that cannot be drawn.
pub fn data_report(
    title: &str,
    report: &CheckReport,
    samples: Vec<SampleCard>,
) -> Result<String, VlpError> {
    let mut histograms = vec![
        names_histogram("Classes", &report.classes),
        names_histogram("Attributes", &report.attributes),
        names_histogram("Labels", &report.labels),
        names_histogram("Answers", &report.answers),
        values_histogram("Words of a text", &report.caption_words),
        values_histogram("Texts of a sample", &report.captions_per_sample),
        values_histogram("Boxes of a sample", &report.boxes_per_sample),
        values_histogram("Width in pixels", &report.width),
        values_histogram("Height in pixels", &report.height),
        values_histogram("Aspect ratio (width / height)", &report.aspect),
    ];
    histograms.retain(|histogram| !histogram.bars.is_empty());
    let boxes = report.boxes.map(|count| count.to_string());
    let issues = report.issues.iter().take(MAX_ISSUES);
    let page = SamplesPage {
        title: title.into(),
        summary: [
            ("samples", report.samples.to_string()),
            ("images", report.images.to_string()),
            ("texts", report.captions.to_string()),
            ("boxes", boxes.unwrap_or_else(|| "none annotated".into())),
            ("issues", report.issue_count().to_string()),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .to_vec(),
        samples,
        histograms,
        issues: Table {
            columns: vec!["kind".into(), "issue".into()],
            rows: issues
                .map(|issue| vec![issue.kind.description().into(), issue.to_string()].into())
                .collect(),
        },
        notes: vec![],
    };
    Ok(render_samples(&page)?)
}

fn names_histogram(title: &str, counts: &[Count]) -> Histogram {
    let mut counts = counts.to_vec();
    counts.sort_by_key(|count| std::cmp::Reverse(count.count));
    let hint = match counts.len() > MAX_BARS {
        true => format!("the {MAX_BARS} most frequent of {}", counts.len()),
        false => String::new(),
    };
    let bars = counts.into_iter().take(MAX_BARS);
    Histogram {
        title: title.into(),
        hint,
        bars: bars.map(|count| (count.name, count.count)).collect(),
    }
}

fn values_histogram(title: &str, distribution: &Distribution) -> Histogram {
    let bars = distribution.bins.iter();
    Histogram {
        title: title.into(),
        hint: format!("mean {:.2}", distribution.mean),
        bars: bars.map(|bin| (bin_label(bin), bin.count)).collect(),
    }
}

fn bin_label(bin: &HistogramBin) -> String {
    let text = |value: f64| match value.fract() == 0.0 {
        true => format!("{value:.0}"),
        false => format!("{value:.2}"),
    };
    match bin.from == bin.to {
        true => text(bin.from),
        false => format!("{} to {}", text(bin.from), text(bin.to)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn large_images_are_shrunk_with_their_boxes() {
        let image = Image::filled(4096, 2048, [7; 3]);
        let object = Object {
            class: 0,
            bbox: [1024.0, 0.0, 4096.0, 2048.0],
            attributes: vec![],
            crowd: false,
            area: 1.0,
        };
        let labels = LabelSpace::default();
        let shown = sample_image(&image, &[object], &labels).unwrap();
        assert_eq!((shown.width, shown.height), (1024, 512));
        let drawn = &shown.boxes[0];
        assert_eq!(
            [drawn.x0, drawn.y0, drawn.x1, drawn.y1],
            [256.0, 0.0, 1024.0, 512.0]
        );
    }
}
