//! Reports invalid records, duplicates, overlap between splits and the distributions of a source, before a run uses it.
//!
//! ```
//! use vlp_data::{Image, InMemorySource, LabelSpace, Sample, check::{CheckOptions, check}};
//!
//! let sample = |key: u64| Sample {
//!     key,
//!     name: format!("{key}.png"),
//!     image: Image::filled(64, 48, [key as u8, 0, 0]),
//!     second_image: None,
//!     captions: vec!["a red rectangle".into()],
//!     objects: None,
//!     label: None,
//!     record: None,
//! };
//! let source = |name, keys: std::ops::Range<u64>| {
//!     InMemorySource::new(name, LabelSpace::default(), keys.map(sample).collect())
//! };
//! let (train, val) = (source("train", 0..40), source("val", 40..50));
//! let options = CheckOptions::default().with_other(Some(&val));
//! let report = check(&train, &options, &|done, total| eprintln!("{done} of {total}"))?;
//! assert!(report.is_clean());
//! println!("{report}");
//! # Ok::<(), vlp_data::DataError>(())
//! ```

mod display;
mod distribution;
mod issue;
mod options;
mod overlap;
mod report;
mod scan;
mod statistics;

pub use distribution::{Distribution, HistogramBin};
pub use issue::{Issue, IssueKind};
pub use options::CheckOptions;
pub use report::{CheckReport, Count, Duplicates, MAX_ANSWERS, MAX_LISTED, Overlap};

use crate::{DataError, Source};
use scan::Scan;
use statistics::Statistics;

/// Reads the texts, boxes and label of every sample and decodes every image once.
///
/// `progress` is called on this thread with the number of samples done and their total, the other source's included.
/// Memory grows by two 64-bit numbers per image. Unreadable samples are issues in the report.
///
/// # Errors
/// [`DataError::Store`] if a store of samples cannot be read.
pub fn check(
    source: &dyn Source,
    options: &CheckOptions<'_>,
    progress: &dyn Fn(usize, usize),
) -> Result<CheckReport, DataError> {
    let scan = Scan::new(source, options);
    let total = source.len() + options.other.map_or(0, Source::len);
    let images = scan.image_count();
    let mut statistics = scan.run(&|done| progress(done, total))?;
    let mut report = CheckReport {
        source: source.name().into(),
        decoded: options.decode,
        samples: source.len(),
        images,
        ..CheckReport::default()
    };
    if let Some(read_report) = options.read_report {
        if read_report.skipped > 0 {
            let count = read_report.skipped as u64;
            report.issue_counts.insert(IssueKind::Record, count);
        }
        let records = read_report.skipped_records.iter().take(MAX_LISTED);
        let issue = |record| Issue::new(IssueKind::Record, record);
        report.issues = records.cloned().map(issue).collect();
    }
    let hashes = std::mem::take(&mut statistics.pixel_hashes);
    statistics.write(source.label_spaces(), &mut report);
    report.duplicates = overlap::duplicates(&hashes);
    if let Some(other) = options.other {
        let other_statistics = if options.decode {
            Scan::new(other, options).run(&|done| progress(source.len() + done, total))?
        } else {
            progress(total, total);
            Statistics::default()
        };
        report.overlap = Some(Overlap {
            unreadable: other_statistics.unreadable(),
            ..overlap::overlap((source, &hashes), (other, &other_statistics.pixel_hashes))?
        });
    }
    Ok(report)
}
