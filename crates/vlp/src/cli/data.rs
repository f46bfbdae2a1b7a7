//! `vlp data`: look at a source before a run does, and pack it.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, Subcommand};
use vlp::data_page::{page, samples};
use vlp::source::{Opened, open_plain};
use vlp::{RunConfig, VlpError};
use vlp_data::check::{CheckOptions, check};
use vlp_data::shards::{PackOptions, pack};

use super::output::{print, warn};
use crate::ConfigArgs;

#[derive(Subcommand)]
pub(crate) enum DataCommand {
    /// Read every sample once and report what is wrong, with file and record, and how everything is spread.
    Check(CheckArgs),
    /// The same without decoding pictures.
    Stats(CheckArgs),
    /// Write a page of samples with their boxes and texts.
    View(ViewArgs),
    /// Pack a source into tar shards (webdataset's layout), which stream from a folder or an object store.
    Pack(PackArgs),
}

/// A source, as `--data` takes it, or a path whose kind is told by what is there.
#[derive(Args)]
struct SourceArgs {
    /// `coco:DIR`, `vqa:DIR/SPLIT`, `json:FILE`, `shards:PLACE`, `scenes`, ...; or a plain path.
    source: String,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// A source that must share no image with it, such as its test set.
    #[arg(long, value_name = "SOURCE")]
    against: Option<String>,
    /// Write the report as JSON as well.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ViewArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// The page.
    #[arg(long, value_name = "FILE", default_value = "data.html")]
    out: PathBuf,
    /// Samples to show, evenly through the source.
    #[arg(long, default_value_t = 24)]
    count: usize,
}

#[derive(Args)]
pub(crate) struct PackArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// A new folder for the shards.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Greatest length of a shard in megabytes.
    #[arg(long, value_name = "MB", default_value_t = 256)]
    shard_mb: u64,
    /// Threads that read samples.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// What a path is, by what is there.
fn guess(source: &str) -> String {
    let path = Path::new(source);
    let known = source == "scenes" || source.split_once(':').is_some_and(|(k, _)| k.len() > 1);
    if known {
        return match source.contains("://") && !source.starts_with("shards:") {
            true => format!("shards:{source}"),
            false => source.into(),
        };
    }
    let tar = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .into_iter()
            .any(|e| e.path().extension().is_some_and(|e| e == "tar"))
    };
    let kind = if path.join("annotations").is_dir() {
        "coco"
    } else if path.join("image_data.json").is_file() {
        "genome"
    } else if path.join("index.json").is_file() || (path.is_dir() && tar(path)) {
        "shards"
    } else {
        "json"
    };
    format!("{kind}:{source}")
}

impl SourceArgs {
    fn config(&self, source: &str) -> Result<RunConfig, VlpError> {
        let mut sources = self.config.sources();
        sources.set.push(format!("data.source={:?}", guess(source)));
        vlp::config::resolve(&sources)
    }

    fn open(&self) -> Result<Opened, VlpError> {
        open_plain(&self.config(&self.source)?.data)
    }
}

impl DataCommand {
    pub(crate) fn run(self) -> Result<(), VlpError> {
        match self {
            Self::Check(args) => args.run(true),
            Self::Stats(args) => args.run(false),
            Self::View(args) => args.run(),
            Self::Pack(args) => args.run(),
        }
    }
}

impl CheckArgs {
    fn run(self, decode: bool) -> Result<(), VlpError> {
        let opened = self.source.open()?;
        let other = self
            .against
            .as_ref()
            .map(|other| open_plain(&self.source.config(other)?.data))
            .transpose()?;
        let options = CheckOptions {
            decode,
            read: opened.report.as_ref(),
            other: other.as_ref().map(|o| o.source.as_ref()),
            ..CheckOptions::default()
        };
        let bar = indicatif::ProgressBar::new(0);
        let report = check(opened.source.as_ref(), &options, &|done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        print(format_args!("{report}\n"))?;
        if let Some(file) = &self.json {
            let text = serde_json::to_vec_pretty(&report);
            let text = text.map_err(|e| VlpError::Config(e.to_string()))?;
            std::fs::write(file, text).map_err(|source| VlpError::Io {
                path: file.clone(),
                source,
            })?;
        }
        match report.is_clean() {
            true => Ok(()),
            false => Err(VlpError::Config(format!(
                "{}: {} faults",
                self.source.source,
                report.fault_count()
            ))),
        }
    }
}

impl ViewArgs {
    fn run(self) -> Result<(), VlpError> {
        let opened = self.source.open()?;
        let options = CheckOptions {
            decode: false,
            read: opened.report.as_ref(),
            ..CheckOptions::default()
        };
        let report = check(opened.source.as_ref(), &options, &|_, _| {});
        let shown = samples(opened.source.as_ref(), self.count);
        let text = page(&self.source.source, &report, shown)?;
        std::fs::write(&self.out, text).map_err(|source| VlpError::Io {
            path: self.out.clone(),
            source,
        })?;
        print(format_args!("{}\n", self.out.display()))
    }
}

impl PackArgs {
    fn run(self) -> Result<(), VlpError> {
        if self.out.to_string_lossy().contains("://") {
            return Err(VlpError::Config(format!(
                "--out {}: give a local folder, and copy it with the store's own tool (aws s3 cp --recursive, gcloud storage cp -r, az storage blob upload-batch)",
                self.out.display()
            )));
        }
        let opened = self.source.open()?;
        let options = PackOptions {
            shard_bytes: self.shard_mb.max(1) << 20,
            threads: NonZeroUsize::new(self.threads).unwrap_or(NonZeroUsize::MIN),
            ..PackOptions::default()
        };
        let began = Instant::now();
        let report = pack(opened.source.as_ref(), &self.out, &options)?;
        let seconds = began.elapsed().as_secs_f64();
        let megabytes = report.shards.iter().map(|s| s.bytes).sum::<u64>() as f64 / 1e6;
        for fault in &report.faults {
            warn(format_args!("left out: {fault}"));
        }
        print(format_args!(
            "{} samples, {} left out, {} shards in {}: {megabytes:.1} MB in {seconds:.1} s, {:.0} pictures/s, {:.1} MB/s\n",
            report.samples,
            report.skipped,
            report.shards.len(),
            self.out.display(),
            report.pictures as f64 / seconds,
            megabytes / seconds,
        ))
    }
}
