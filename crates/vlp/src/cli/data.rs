//! `vlp data`: inspect a source before training, and pack it into shards.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Subcommand};
use toml::Value;
use vlp::config::SourceKind;
use vlp::data::{IMAGES_HINT, OpenedSource, has_shards, is_tar, open_plain};
use vlp::report::{EarlierFile, data_report, sample_cards};
use vlp::{RunConfig, VlpError};
use vlp_data::check::{CheckOptions, check};
use vlp_data::read::VqaFiles;
use vlp_data::shards::{PackOptions, pack};
use vlp_files::write_whole;

use super::common_args::SettingsArgs;
use super::counter::Counter;
use super::output::{check_file, print, warn};

#[derive(Subcommand)]
pub(super) enum DataCommand {
    /// Read every sample once and report issues, with file and record, and the distributions of sizes, labels and texts.
    Check(CheckArgs),
    /// The same report without decoding images.
    Stats(CheckArgs),
    /// Write a page of samples with their boxes and texts.
    View(ViewArgs),
    /// Pack a source into tar shards (webdataset layout), which are streamed from a folder or an object store.
    Pack(PackArgs),
}

/// A source in the form of `--data`, or a path whose kind is detected, and the settings for reading it.
#[derive(Args)]
struct SourceArgs {
    /// `coco:DIR@SPLIT`, `vqa:DIR@SPLIT`, `json:FILE`, `shards:PATH`, `scenes`, ...; or a plain path.
    source: String,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Another source that must not share an image with this one, such as its test set. Images are compared by pixels;
    /// `stats` compares the files of images with equal ids.
    #[arg(long, value_name = "SOURCE")]
    against: Option<String>,
    /// Also write the report as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct ViewArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// HTML file to write.
    #[arg(long, value_name = "FILE", default_value = "data.html")]
    out: PathBuf,
    /// Number of samples to show, evenly spaced through the source.
    #[arg(long, default_value_t = 24, value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    count: usize,
}

#[derive(Args)]
pub(super) struct PackArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Folder for the shards; must not exist, or be empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Maximum size of a shard in MiB.
    #[arg(long, value_name = "MB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..))]
    shard_mb: u64,
    /// Number of threads that read samples, at most 1024.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = RangedU64ValueParser::<usize>::new().range(1..=PackOptions::MAX_THREADS as u64))]
    threads: usize,
}

/// `source` with its kind as a prefix, detected from the files at a plain path.
fn with_kind(source: &str) -> Result<String, VlpError> {
    let path = Path::new(source);
    let prefix = source.split_once(':').map_or("", |(prefix, _)| prefix);
    if source == "scenes" || SourceKind::NAMES.contains(&prefix) {
        return Ok(source.into());
    }
    if source.contains("://") {
        return Ok(format!("shards:{source}"));
    }
    // An unknown kind, unless it is a path with a colon or a Windows drive.
    let is_name = |c: char| c.is_ascii_alphabetic() || c == '-';
    if prefix.len() > 1 && prefix.chars().all(is_name) && !path.exists() {
        return Ok(source.into());
    }
    // With the split of `DIR@SPLIT`.
    let folder = match source.rsplit_once('@') {
        Some((folder, _)) if !path.exists() => Path::new(folder),
        _ => path,
    };
    let kind = if folder.join("annotations").is_dir() {
        "coco"
    } else if VqaFiles::splits(folder).is_ok_and(|splits| !splits.is_empty()) {
        "vqa"
    } else if path.join("image_data.json").is_file() {
        "genome"
    } else if has_shards(path) || is_tar(source) && path.is_file() {
        "shards"
    } else if path.is_dir() {
        return Err(VlpError::Config(format!(
            "{source}: a folder without annotations. For a folder of images, write a line {} for each into a file FILE.jsonl \
             there, and use json:{source}/FILE.jsonl. Folders of data sets have annotations/captions_SPLIT.json (coco:), \
             v2_OpenEnded_mscoco_SPLIT_questions.json (vqa:), image_data.json (genome:) or tar files (shards:)",
            r#"{"image": "a.jpg", "caption": "a dog"}"#
        )));
    } else {
        "json"
    };
    Ok(format!("{kind}:{source}"))
}

impl SourceArgs {
    /// The configuration with which `source` is read, this one or `other`.
    fn config(&self, source: &str, other: Option<&str>) -> Result<RunConfig, VlpError> {
        let mut used = vec!["data.source"];
        for source in [self.source.as_str()].into_iter().chain(other) {
            let keys = SourceKind::parse("data.source", &with_kind(source)?)?.keys();
            used.extend(
                keys.iter()
                    .filter(|key| !used.contains(key))
                    .collect::<Vec<_>>(),
            );
        }
        let full_source = with_kind(source)?;
        let values = vec![("data.source".into(), Value::String(full_source.clone()))];
        let config = self.settings.resolve(&used, values)?;
        if config.data.source != full_source {
            let reason = format!("--set data.source: the source is {source}");
            return Err(VlpError::Config(reason));
        }
        Ok(config)
    }

    fn open(&self) -> Result<OpenedSource, VlpError> {
        open_plain(&self.config(&self.source, None)?.data)
    }
}

impl DataCommand {
    pub(super) fn run(self) -> Result<(), VlpError> {
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
        if let Some(file) = &self.json {
            check_file("--json", file, EarlierFile::CheckReport)?;
        }
        let other = self.against.as_deref();
        let open = |source| open_plain(&self.source.config(source, other)?.data);
        let opened = open(&self.source.source)?;
        let other = other.map(open).transpose()?;
        let options = CheckOptions::default()
            .with_decode(decode)
            .with_read_report(opened.report.as_ref())
            .with_other(other.as_ref().map(|o| o.source.as_ref()));
        let counter = Counter::new();
        let show = |done, total| counter.show(done, total);
        let report = check(opened.source.as_ref(), &options, &show);
        counter.finish();
        let report = report?;
        print(format_args!("{report}\n"))?;
        if let Some(file) = &self.json {
            let text = serde_json::to_vec_pretty(&report);
            let text = text.map_err(|e| VlpError::Config(e.to_string()))?;
            write_whole(file, &text).map_err(VlpError::io(file))?;
        }
        if opened.source.is_empty() {
            let message = format!("{}: it has no samples", self.source.source);
            return Err(VlpError::Config(message));
        }
        if report.is_clean() {
            return Ok(());
        }
        let missing = opened.report.map_or(0, |report| report.missing_images);
        let hint = if missing > 0 { IMAGES_HINT } else { "" };
        let shared = report.overlap.as_ref();
        let shared = shared.map_or(0, |overlap| overlap.keys.max(overlap.pixels));
        let counts = [
            (report.issue_count(), "issues"),
            (report.duplicates.images, "repeated images"),
            (shared, "images of the other source"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts
            .map(|(count, name)| format!("{count} {name}"))
            .collect();
        let message = format!("{}: {}{hint}", self.source.source, counts.join(", "));
        Err(VlpError::Config(message))
    }
}

impl ViewArgs {
    fn run(self) -> Result<(), VlpError> {
        check_file("--out", &self.out, EarlierFile::DataPage)?;
        let opened = self.source.open()?;
        let options = CheckOptions::default()
            .with_decode(false)
            .with_read_report(opened.report.as_ref());
        let report = check(opened.source.as_ref(), &options, &|_, _| {})?;
        let cards = sample_cards(opened.source.as_ref(), self.count)?;
        let page = data_report(&self.source.source, &report, cards)?;
        write_whole(&self.out, page.as_bytes()).map_err(VlpError::io(&self.out))?;
        print(format_args!("{}\n", self.out.display()))
    }
}

impl PackArgs {
    fn run(self) -> Result<(), VlpError> {
        if self.out.to_string_lossy().contains("://") {
            return Err(VlpError::Config(format!(
                "--out {}: use a local folder, then upload it with the store's tool (aws s3 cp --recursive, gcloud storage cp -r, az storage blob upload-batch)",
                self.out.display()
            )));
        }
        let opened = self.source.open()?;
        let options = PackOptions::default()
            .with_shard_bytes(self.shard_mb.saturating_mul(1 << 20))
            .with_threads(NonZeroUsize::new(self.threads).unwrap_or(NonZeroUsize::MIN));
        let start = Instant::now();
        let report = pack(opened.source.as_ref(), &self.out, &options)?;
        let seconds = start.elapsed().as_secs_f64();
        let megabytes = report.shards.iter().map(|s| s.bytes).sum::<u64>() as f64 / 1e6;
        for record in &report.skipped_records {
            warn(format_args!("skipped: {record}"));
        }
        print(format_args!(
            "{} samples, {} skipped, {} shards in {}: {megabytes:.1} MB in {seconds:.1} s, {:.0} images/s, {:.1} MB/s\n",
            report.samples,
            report.skipped,
            report.shards.len(),
            self.out.display(),
            report.images as f64 / seconds,
            megabytes / seconds,
        ))
    }
}
