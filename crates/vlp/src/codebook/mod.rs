//! What a visual dictionary learned: figures over held-out pictures and a page to look at.

mod meaning;
mod survey;

use std::path::{Path, PathBuf};

use burn::prelude::*;
use vlp_draw::{CodeCard, CodeGrid, CodeMap, DictionaryPage, Patch, Row, Table, render_dictionary};

pub use meaning::Meaning;
pub use survey::{CellSeen, Survey};

use crate::data::Datasets;
use crate::error::VlpError;
use crate::results::figure;
use crate::trained::Trained;

/// Typical patches kept of each code.
const PATCHES: usize = 6;
/// Words shown of each code.
const WORDS: usize = 6;
/// Pictures a word must stand in before it says anything of a code.
const WORD_PICTURES: usize = 5;

/// Figures of the dictionary, trained and untrained.
#[derive(Debug, Clone)]
pub struct Codebook {
    /// (figure, untrained, trained).
    pub rows: Vec<(String, Option<f64>, Option<f64>)>,
    /// The page.
    pub path: PathBuf,
}

/// Surveys the dictionary of `run` on `pictures` held-out pictures and writes the page to `out` (by default
/// `dictionary.html` in the run's folder).
///
/// # Errors
/// [`VlpError::Config`] where the run's model has no dictionary.
pub fn codebook(
    run: &Path,
    pictures: usize,
    out: Option<PathBuf>,
    device: &Device,
) -> Result<Codebook, VlpError> {
    let trained = Trained::open(run, device)?;
    let config = &trained.config;
    let Some(quantiser) = config.model.quantiser() else {
        return Err(VlpError::Config(format!(
            "{}: its model has no visual dictionary (model.quantiser); the soho presets have one",
            run.display()
        )));
    };
    let codes = quantiser.dictionary.codes;
    let mut wider = config.clone();
    wider.eval.examples = pictures.max(1);
    let data = Datasets::open(&wider)?;
    let batcher = data.batcher(config);
    let (examples, faults) = data.heldout(&wider, 0..pictures.max(1));
    let first = trained.untrained()?;
    let before = Survey::new(&first, codes, &examples, &batcher, device)?;
    let after = Survey::new(trained.system(), codes, &examples, &batcher, device)?;
    let rows: Vec<_> = figures(&before, &examples, &data)
        .into_iter()
        .zip(figures(&after, &examples, &data))
        .map(|((name, before), (_, after))| (name, before, after))
        .collect();
    let words = after.words(&examples, WORD_PICTURES);
    let cards = (0..codes).map(|code| CodeCard {
        code,
        uses: after.counts[code],
        patches: after
            .typical(code, PATCHES)
            .map(|cell| {
                patch(
                    &examples[cell.picture],
                    after.grids[cell.picture],
                    cell.cell,
                )
            })
            .collect(),
        words: words[code].iter().take(WORDS).cloned().collect(),
    });
    let shown = config.eval.pictures.min(examples.len());
    let page = DictionaryPage {
        title: format!("Visual dictionary: {}", config.preset),
        summary: [
            ("run", run.display().to_string()),
            ("steps", trained.step.to_string()),
            ("pictures", format!("{} held out", examples.len())),
            ("cells", after.counts.iter().sum::<u64>().to_string()),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .to_vec(),
        metrics: Table {
            columns: ["figure", "untrained", "trained"]
                .map(String::from)
                .to_vec(),
            rows: rows
                .iter()
                .map(|(name, a, b)| Row::from(vec![name.clone(), figure(*a), figure(*b)]))
                .collect(),
        },
        word_measure: "PMI, nats".into(),
        codes: cards.collect(),
        images: (0..shown)
            .map(|i| {
                let example = &examples[i];
                let [rows, columns] = after.grids[i];
                CodeMap {
                    title: example.name.clone(),
                    width: example.picture.width as u32,
                    height: example.picture.height as u32,
                    rgb: example.picture.rgb.clone(),
                    grid: CodeGrid {
                        rows: rows as u32,
                        columns: columns as u32,
                        codes: after.codes[i].clone(),
                    },
                    captions: example.captions.clone(),
                }
            })
            .collect(),
        notes: faults,
    };
    let path = out.unwrap_or_else(|| run.join("dictionary.html"));
    std::fs::write(&path, render_dictionary(&page)?).map_err(VlpError::io(&path))?;
    Ok(Codebook { rows, path })
}

/// Health of the dictionary, and what its codes tell of shapes and attributes where boxes are annotated.
fn figures(
    survey: &Survey,
    examples: &[vlp_data::Example],
    data: &Datasets,
) -> Vec<(String, Option<f64>)> {
    let health = vlp_vision::dictionary::Health::of(&survey.counts);
    let mut rows = vec![
        ("codes in use".to_string(), Some(health.used as f64)),
        ("dead codes".to_string(), Some(health.dead() as f64)),
        ("perplexity".to_string(), Some(health.perplexity)),
    ];
    for meaning in Meaning::all(survey, examples, &data.labels) {
        let of = meaning.of;
        rows.push((format!("purity by {of}"), meaning.purity));
        rows.push((
            format!("mutual information with {of} (bits)"),
            meaning.information,
        ));
        rows.push((format!("  of the entropy of {of} (bits)"), meaning.entropy));
    }
    rows
}

/// The surroundings of a cell, three cells wide and high, cut at the picture's edge.
fn patch(example: &vlp_data::Example, [rows, columns]: [usize; 2], cell: usize) -> Patch {
    let picture = &example.picture;
    let span = |at: usize, count: usize, size: usize| {
        let low = (at as f64 - 1.0) * size as f64 / count as f64;
        let high = (at as f64 + 2.0) * size as f64 / count as f64;
        let low = low.max(0.0) as usize;
        low..(high.ceil() as usize).clamp(low + 1, size)
    };
    let (xs, ys) = (
        span(cell % columns, columns, picture.width),
        span(cell / columns, rows, picture.height),
    );
    let rgb = ys
        .clone()
        .flat_map(|y| xs.clone().map(move |x| (x, y)))
        .flat_map(|(x, y)| picture.pixel(x, y).unwrap_or_default());
    Patch {
        title: example.name.clone(),
        width: xs.len() as u32,
        height: ys.len() as u32,
        rgb: rgb.collect(),
    }
}
