//! `vlp features`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vlp::config::other_source;
use vlp::data::open_plain;
use vlp::predict::{FeatureKinds, write_features};
use vlp::{Predictor, VlpError};

use super::common_args::{CheckpointArgs, InferenceArgs};
use super::counter::Counter;
use super::output::{print, warn};

#[derive(Args)]
pub(super) struct FeaturesArgs {
    /// Folder of the run.
    run: PathBuf,
    /// Data source, as `--data` of pretrain has it: `coco:DIR@SPLIT`, `json:FILE`, `shards:PATH`, ...
    source: String,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// A setting of the source, such as `data.images=DIR`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Features to write; all by default.
    #[arg(long, value_delimiter = ',', value_name = "KIND,...")]
    kinds: Vec<Kind>,
    /// The safetensors file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    device: InferenceArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Image tokens after the encoder has read the image alone.
    Grid,
    /// Tokens of each text after the encoder has read it alone.
    Text,
    /// Tokens of both after the encoder has read them together.
    Joint,
}

impl FeaturesArgs {
    pub(super) fn run(self) -> Result<(), VlpError> {
        let device = self.device.pick()?;
        let model = Predictor::load_checkpoint(&self.run, self.checkpoint.choice, &device)?;
        let data = other_source(&model.trained().config, &self.source, &self.set)?;
        let opened = open_plain(&data)?;
        for note in &opened.notes {
            warn(format_args!("{note}"));
        }
        let wants = |kind| self.kinds.is_empty() || self.kinds.contains(&kind);
        let kinds = FeatureKinds {
            grid: wants(Kind::Grid),
            text: wants(Kind::Text),
            joint: wants(Kind::Joint),
        };
        let counter = Counter::new();
        let mut show = |done, total| counter.show(done, total);
        let written = write_features(&model, &*opened.source, kinds, &self.out, &mut show);
        counter.finish();
        for problem in written? {
            warn(format_args!("skipped: {problem}"));
        }
        print(format_args!("{}\n", self.out.display()))
    }
}
