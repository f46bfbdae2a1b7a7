//! A page of a source's samples and counts.

use vlp_data::check::{Bin, CheckReport, Count, Spread};
use vlp_data::{Label, LabelSpace, Object, Picture, Sample, Source};
use vlp_draw::{
    BoxKind, DrawnBox, Histogram, SampleCard, SamplePicture, SamplesPage, Table, render_samples,
};

use crate::error::VlpError;

/// Bars of a histogram of names.
const BARS: usize = 40;
/// Faults listed on a page.
const FAULTS: usize = 200;

/// Cards of `count` samples, evenly through a source; those that cannot be read are left to the report's faults.
pub fn samples(source: &dyn Source, count: usize) -> Vec<SampleCard> {
    let total = source.len();
    let count = count.min(total);
    let chosen = (0..count).map(|at| at * total / count.max(1));
    chosen
        .filter_map(|index| Some(card(&source.load(index).ok()?, source.labels())))
        .collect()
}

fn card(sample: &Sample, labels: &LabelSpace) -> SampleCard {
    let objects = sample.objects.as_deref().unwrap_or_default();
    let mut pictures = vec![picture(&sample.picture, objects, labels)];
    pictures.extend(sample.second.iter().map(|p| picture(p, &[], labels)));
    let mut facts = vec![("key".to_string(), sample.key.to_string())];
    if let Some(record) = &sample.record {
        facts.push(("record".into(), record.id.clone()));
        facts.extend(
            record
                .question_type
                .iter()
                .map(|t| ("question".into(), t.clone())),
        );
    }
    facts.extend(sample.label.as_ref().map(|label| {
        let text = match label {
            Label::Answers(answers) => answers.join(", "),
            Label::Truth(truth) => truth.to_string(),
            Label::Entailment(label) => format!("{label:?}").to_lowercase(),
        };
        ("label".to_string(), text)
    }));
    SampleCard {
        title: sample.name.clone(),
        pictures,
        texts: sample.captions.clone(),
        facts,
    }
}

fn picture(picture: &Picture, objects: &[Object], labels: &LabelSpace) -> SamplePicture {
    let name = |names: &[String], at: usize| names.get(at).cloned().unwrap_or(at.to_string());
    let drawn = |object: &Object| {
        let attributes = object.attributes.iter();
        let attributes: Vec<String> = attributes.map(|&a| name(&labels.attributes, a)).collect();
        DrawnBox {
            x0: object.bbox[0],
            y0: object.bbox[1],
            x1: object.bbox[2],
            y1: object.bbox[3],
            label: name(&labels.classes, object.class),
            score: None,
            kind: BoxKind::Truth,
            detail: attributes.join(", "),
        }
    };
    SamplePicture {
        width: picture.width as u32,
        height: picture.height as u32,
        rgb: picture.rgb.clone(),
        boxes: objects.iter().map(drawn).collect(),
    }
}

/// The page of a source: its counts, what is wrong with it, and some samples.
///
/// # Errors
/// [`VlpError::Draw`] for a picture that cannot be drawn.
pub fn page(
    title: &str,
    report: &CheckReport,
    samples: Vec<SampleCard>,
) -> Result<String, VlpError> {
    let names = |title: &str, counts: &[Count]| {
        let mut counts = counts.to_vec();
        counts.sort_by_key(|c| std::cmp::Reverse(c.count));
        let hint = match counts.len() > BARS {
            true => format!("the {BARS} most frequent of {}", counts.len()),
            false => String::new(),
        };
        let bars = counts.into_iter().take(BARS).map(|c| (c.name, c.count));
        Histogram {
            title: title.into(),
            hint,
            bars: bars.collect(),
        }
    };
    let spread = |title: &str, spread: &Spread| Histogram {
        title: title.into(),
        hint: format!("mean {:.2}", spread.mean),
        bars: spread
            .bins
            .iter()
            .map(|bin| (range(bin), bin.count))
            .collect(),
    };
    let mut histograms = vec![
        names("Classes", &report.classes),
        names("Attributes", &report.attributes),
        names("Labels", &report.labels),
        names("Answers", &report.answers),
        spread("Words of a text", &report.caption_words),
        spread("Texts of a sample", &report.captions_per_sample),
        spread("Boxes of a sample", &report.boxes_per_sample),
        spread("Width in pixels", &report.width),
        spread("Height in pixels", &report.height),
        spread("Width over height", &report.aspect),
    ];
    histograms.retain(|histogram| !histogram.bars.is_empty());
    let faults = report.faults.iter().take(FAULTS);
    let page = SamplesPage {
        title: title.into(),
        summary: [
            ("samples", report.samples.to_string()),
            ("images", report.images.to_string()),
            ("texts", report.captions.to_string()),
            (
                "boxes",
                report
                    .boxes
                    .map_or("none annotated".into(), |n| n.to_string()),
            ),
            ("faults", report.fault_count().to_string()),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .to_vec(),
        samples,
        histograms,
        faults: Table {
            columns: vec!["kind".into(), "fault".into()],
            rows: faults
                .map(|found| vec![found.kind.words().into(), found.fault.to_string()].into())
                .collect(),
        },
        notes: vec![],
    };
    Ok(render_samples(&page)?)
}

/// A bar's numbers.
fn range(bin: &Bin) -> String {
    let short = |value: f64| match value.fract() == 0.0 {
        true => format!("{value:.0}"),
        false => format!("{value:.2}"),
    };
    match bin.from == bin.to {
        true => short(bin.from),
        false => format!("{} to {}", short(bin.from), short(bin.to)),
    }
}
