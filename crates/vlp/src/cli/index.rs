//! `vlp index`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use vlp::search::{IndexOptions, IndexedSource, write_index};
use vlp::{Predictor, VlpError};

use super::common_args::{CheckpointArgs, InferenceArgs};
use super::counter::Counter;
use super::output::{print, warn};

#[derive(Args)]
pub(super) struct IndexArgs {
    /// Folder of the run, which has a contrastive head (`objectives.itc`).
    run: PathBuf,
    /// Data source, as `--data` of pretrain has it: `coco:DIR@SPLIT`, `json:FILE`, `shards:PATH`, ...
    source: String,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// A setting of the source, such as `data.images=DIR`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Maximum width and height of thumbnails, for the page of `vlp serve`; 0 leaves them out.
    #[arg(long, value_name = "PIXELS", default_value_t = 128, value_parser = RangedU64ValueParser::<usize>::new().range(0..=1024))]
    thumbnails: usize,
    /// Folder of the index. An interrupted one is resumed.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    device: InferenceArgs,
}

impl IndexArgs {
    pub(super) fn run(self) -> Result<(), VlpError> {
        let device = self.device.pick()?;
        let model = Predictor::load_checkpoint(&self.run, self.checkpoint.choice, &device)?;
        let options = IndexOptions {
            source: self.source,
            set: self.set,
            thumbnail_side: self.thumbnails,
        };
        let source = IndexedSource::open(&model, &self.run, &options)?;
        for note in source.notes() {
            warn(format_args!("{note}"));
        }
        let counter = Counter::new();
        let start = Instant::now();
        // A complete index has nothing to do.
        let show = |done, total| match total {
            0 => {}
            total => counter.show(done, total),
        };
        let report = write_index(&model, &source, &self.out, &show);
        counter.finish();
        let report = report?;
        for problem in &report.skipped {
            warn(format_args!("skipped: {problem}"));
        }
        let resumed = match report.resumed_at {
            0 => String::new(),
            samples => format!(", resumed at sample {samples}"),
        };
        print(format_args!(
            "{}: {} images, {} texts{resumed}, in {:.1} s\n",
            self.out.display(),
            report.images,
            report.texts,
            start.elapsed().as_secs_f64()
        ))
    }
}
