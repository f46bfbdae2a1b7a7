//! What a visual dictionary learned: metrics on validation images, and an HTML page.

mod code_usage;
mod label_information;

use std::path::Path;

use burn::prelude::*;
use vlp_data::Example;
use vlp_draw::{
    CodeCard, CodeGrid, CodedImage, DictionaryPage, Patch, Row, Table, render_dictionary,
};
use vlp_files::write_whole;
use vlp_vision::dictionary::CodebookUsage;

pub use code_usage::{CodeUsage, VisualToken};
pub use label_information::LabelInformation;

use crate::config::CheckpointChoice;
use crate::data::Datasets;
use crate::error::VlpError;
use crate::format::format_metric;
use crate::run::TrainedModel;

/// Patches shown of each code.
const PATCHES: usize = 6;
/// Words shown of each code.
const WORDS: usize = 6;
/// Minimum number of images whose captions contain a word.
const MIN_WORD_IMAGES: usize = 5;

/// A metric of a dictionary: name, initial value, trained value.
pub type CodebookMetric = (String, Option<f64>, Option<f64>);

/// Measures the dictionary of a run on `images` validation images and writes a page to `out`. Returns the metrics.
///
/// # Errors
/// [`VlpError::Config`] if the run's model has no dictionary; as [`TrainedModel::open`].
pub fn codebook(
    run: &Path,
    checkpoint: CheckpointChoice,
    images: usize,
    out: &Path,
    device: &Device,
) -> Result<Vec<CodebookMetric>, VlpError> {
    let trained = TrainedModel::open_checkpoint(run, checkpoint, device)?;
    let Some(quantizer) = trained.config.model.quantizer() else {
        return Err(VlpError::Config(format!(
            "{}: its model has no visual dictionary (model.quantizer); the soho presets have one",
            run.display()
        )));
    };
    let codes = quantizer.dictionary.codes;
    let mut config = trained.config.clone();
    config.eval.examples = images.max(1);
    let data = Datasets::open_with_tokenizer(&config, trained.tokenizer.clone())?;
    let collator = data.collator(&config);
    let (examples, errors) = data.load_validation(&config, 0..images.max(1))?;
    let initial = CodeUsage::new(&trained.initial()?, codes, &examples, &collator, device)?;
    let usage = CodeUsage::new(trained.model(), codes, &examples, &collator, device)?;
    let rows: Vec<_> = metrics(&initial, &examples, &data)
        .into_iter()
        .zip(metrics(&usage, &examples, &data))
        .map(|((name, initial), (_, trained))| (name, Some(initial), Some(trained)))
        .collect();
    let shown = config.eval.images.min(examples.len());
    let page = DictionaryPage {
        title: format!("Visual dictionary: {}", config.preset),
        summary: [
            ("run", run.display().to_string()),
            ("steps", trained.step.to_string()),
            ("validation images", examples.len().to_string()),
            (
                "visual tokens",
                usage.counts.iter().sum::<u64>().to_string(),
            ),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .to_vec(),
        metrics: Table {
            columns: ["metric", "initial", "trained"].map(String::from).to_vec(),
            rows: rows
                .iter()
                .map(|(name, initial, trained)| {
                    let values = [format_metric(*initial), format_metric(*trained)];
                    let [initial, trained] = values;
                    Row::from(vec![name.clone(), initial, trained])
                })
                .collect(),
        },
        word_measure: "PMI, nats".into(),
        codes: code_cards(&usage, &examples),
        images: (0..shown)
            .map(|image| coded_image(&usage, &examples, image))
            .collect(),
        notes: errors,
    };
    write_whole(out, render_dictionary(&page)?.as_bytes()).map_err(VlpError::io(out))?;
    Ok(rows)
}

/// Usage of the codes, and their information about classes and attributes if boxes are annotated.
fn metrics(usage: &CodeUsage, examples: &[Example], data: &Datasets) -> Vec<(String, f64)> {
    let counts = CodebookUsage::from_counts(&usage.counts);
    let mut rows = vec![
        ("codes in use".to_string(), counts.used as f64),
        ("dead codes".to_string(), counts.dead_codes() as f64),
        ("perplexity".to_string(), counts.perplexity),
    ];
    for information in LabelInformation::all(usage, examples, &data.label_spaces) {
        let label = information.label;
        let mutual_information = information.mutual_information;
        rows.push((format!("purity by {label}"), information.purity));
        rows.push((
            format!("mutual information with {label} (bits)"),
            mutual_information,
        ));
        rows.push((format!("entropy of {label} (bits)"), information.entropy));
    }
    rows
}

fn code_cards(usage: &CodeUsage, examples: &[Example]) -> Vec<CodeCard> {
    let words = usage.words(examples, MIN_WORD_IMAGES);
    let cards = words.into_iter().enumerate().map(|(code, words)| CodeCard {
        code,
        uses: usage.counts[code],
        patches: usage
            .nearest(code, PATCHES)
            .map(|token| {
                let image = token.image;
                patch(&examples[image], usage.grids[image], token.index)
            })
            .collect(),
        words: words.into_iter().take(WORDS).collect(),
    });
    cards.collect()
}

fn coded_image(usage: &CodeUsage, examples: &[Example], image: usize) -> CodedImage {
    let example = &examples[image];
    let [rows, columns] = usage.grids[image];
    CodedImage {
        title: example.name.clone(),
        width: example.image.width as u32,
        height: example.image.height as u32,
        rgb: example.image.rgb.clone(),
        grid: CodeGrid {
            rows: rows as u32,
            columns: columns as u32,
            codes: usage.codes[image].clone(),
        },
        captions: example.captions.clone(),
    }
}

/// The part of the image around a visual token: three tokens wide and high, clipped to the image.
pub(crate) fn patch(example: &Example, [rows, columns]: [usize; 2], token: usize) -> Patch {
    let image = &example.image;
    let span = |index: usize, count: usize, size: usize| {
        let pixel = |position: f64| position * size as f64 / count as f64;
        let low = pixel(index as f64 - 1.0).max(0.0) as usize;
        let high = pixel(index as f64 + 2.0).ceil() as usize;
        low..high.clamp(low + 1, size)
    };
    let xs = span(token % columns, columns, image.width);
    let ys = span(token / columns, rows, image.height);
    let pixels = ys
        .clone()
        .flat_map(|y| xs.clone().map(move |x| (x, y)))
        .flat_map(|(x, y)| image.pixel(x, y).unwrap_or_default());
    Patch {
        title: example.name.clone(),
        width: xs.len() as u32,
        height: ys.len() as u32,
        rgb: pixels.collect(),
    }
}
