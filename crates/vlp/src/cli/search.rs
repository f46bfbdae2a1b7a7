//! `vlp search`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use serde::Serialize;
use vlp::predict::read_image;
use vlp::report::EarlierFile;
use vlp::search::{Hits, SearchIndex, SearchOptions, load_run_of};
use vlp::{Predictor, VlpError};
use vlp_files::write_whole;
use vlp_index::Index;

use super::common_args::InferenceArgs;
use super::output::{check_file, check_text, one_line, print, warn};

#[derive(Args)]
pub(super) struct SearchArgs {
    /// Folder of the index, which `vlp index` writes.
    index: PathBuf,
    #[command(flatten)]
    query: QueryArgs,
    /// Hits to print.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    top: usize,
    /// How many of the best hits by similarity the matching head (`objectives.itm`) re-ranks; 32 by default if the run has
    /// that head, 0 for none.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(0..=10_000))]
    rerank: Option<usize>,
    /// Also write the hits as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Folder of the run that made the index, if it was moved.
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    #[command(flatten)]
    device: InferenceArgs,
}

/// What is searched for.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct QueryArgs {
    /// A text, to find images.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// An image file, to find texts.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
}

impl SearchArgs {
    pub(super) fn run(self) -> Result<(), VlpError> {
        if let Some(file) = &self.json {
            check_file("--json", file, EarlierFile::Hits)?;
        }
        let device = self.device.pick()?;
        let header = Index::read_header(&self.index)?;
        let model = load_run_of(&header, self.run.as_deref(), &device)?;
        let (search, notes) = SearchIndex::open(&self.index, &model)?;
        let options = self.options(&search, &notes)?;
        match (&self.query.text, &self.query.image) {
            (Some(text), _) => {
                for note in notes {
                    warn(format_args!("note: {note}"));
                }
                check_text("--text", text)?;
                let hits = model.search_images(&search, text, options)?;
                self.write(&hits, |hit| {
                    let scores = (hit.similarity, hit.probability);
                    (scores, format!("{}  {}", hit.name, hit.texts.join(" | ")))
                })
            }
            (None, Some(file)) => {
                let hits = search_texts(&model, &search, file, options)?;
                self.write(&hits, |hit| {
                    let scores = (hit.similarity, hit.probability);
                    (
                        scores,
                        format!("{}  ({} images)", hit.text, hit.image_count),
                    )
                })
            }
            // The group above has one of them.
            (None, None) => Ok(()),
        }
    }

    fn options(&self, search: &SearchIndex, notes: &[String]) -> Result<SearchOptions, VlpError> {
        let can_rerank = match self.query.text {
            Some(_) => search.reranks_images(),
            None => search.reranks_texts(),
        };
        let defaults = SearchOptions::default();
        if let Some(count) = self.rerank.filter(|&count| count > 0 && !can_rerank) {
            let reason = match notes.first() {
                Some(note) => note.as_str(),
                None => "the run has no matching head (objectives.itm)",
            };
            return Err(VlpError::Config(format!("--rerank {count}: {reason}")));
        }
        Ok(SearchOptions {
            top: self.top,
            rerank: self.rerank.unwrap_or(defaults.rerank),
        })
    }

    fn write<T: Serialize>(
        &self,
        hits: &Hits<T>,
        line: impl Fn(&T) -> ((f32, Option<f32>), String),
    ) -> Result<(), VlpError> {
        for problem in &hits.problems {
            let problem = one_line(problem);
            warn(format_args!("not read by the matching head: {problem}"));
        }
        let mut text = format!("{:>4} {:>10} {:>7}\n", "", "similarity", "match");
        for (place, hit) in hits.hits.iter().enumerate() {
            let ((similarity, probability), hit) = line(hit);
            let hit = one_line(&hit);
            let probability = probability.map_or("-".to_owned(), |value| format!("{value:.4}"));
            text += &format!(
                "{:>4} {similarity:>10.4} {probability:>7}  {hit}\n",
                place + 1
            );
        }
        if let Some(file) = &self.json {
            let json = serde_json::to_vec_pretty(hits);
            let json = json.map_err(|error| VlpError::Config(error.to_string()))?;
            write_whole(file, &json).map_err(VlpError::io(file))?;
        }
        print(format_args!("{text}"))
    }
}

fn search_texts(
    model: &Predictor,
    search: &SearchIndex,
    file: &std::path::Path,
    options: SearchOptions,
) -> Result<Hits<vlp::search::TextHit>, VlpError> {
    let image = model.resize(&read_image(file)?)?;
    model.search_texts(search, &image, options)
}
