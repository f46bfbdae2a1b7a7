//! `vlp dictionary`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use vlp::VlpError;
use vlp::eval::codebook;
use vlp::format::format_metric;
use vlp::report::EarlierFile;

use super::common_args::{CheckpointArgs, InferenceArgs};
use super::output::{check_file, print};

#[derive(Args)]
pub(super) struct DictionaryArgs {
    /// Folder of the run.
    run: PathBuf,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    /// Number of validation images.
    #[arg(long, default_value_t = 256, value_parser = RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    images: usize,
    /// HTML file to write.
    #[arg(long, value_name = "FILE", default_value = "dictionary.html")]
    out: PathBuf,
    #[command(flatten)]
    device: InferenceArgs,
}

impl DictionaryArgs {
    pub(super) fn run(self) -> Result<(), VlpError> {
        check_file("--out", &self.out, EarlierFile::DictionaryPage)?;
        let device = self.device.pick()?;
        let rows = codebook(
            &self.run,
            self.checkpoint.choice,
            self.images,
            &self.out,
            &device,
        )?;
        let header = format_args!("{:44} {:>9} {:>9}\n", "", "initial", "trained");
        print(header)?;
        for (name, before, after) in rows {
            let (before, after) = (format_metric(before), format_metric(after));
            print(format_args!("{name:44} {before:>9} {after:>9}\n"))?;
        }
        print(format_args!("\n{}\n", self.out.display()))
    }
}
