//! What stands in a source and what is wrong with it, before a run finds out.
//!
//! ```
//! use vlp_data::{Scenes, ScenesConfig, Split, check::{CheckOptions, check}};
//!
//! let config = |split| ScenesConfig { count: 40, split, ..ScenesConfig::default() };
//! let (train, val) = (Scenes::new(config(Split::Train))?, Scenes::new(config(Split::Val))?);
//! let options = CheckOptions { other: Some(&val), ..CheckOptions::default() };
//! let report = check(&train, &options, &|done, total| eprintln!("{done} of {total}"));
//! assert!(report.is_clean());
//! println!("{report}");
//! # Ok::<(), vlp_data::DataError>(())
//! ```

mod display;
mod overlap;
mod report;
mod scan;
mod spread;
mod tally;

pub use report::{
    CheckReport, Count, Duplicates, FaultKind, Found, MAX_ANSWERS, MAX_LISTED, Overlap,
};
pub use spread::{Bin, Spread};

use crate::{Limits, ReadReport, Source};
use scan::Scan;

/// How a source is checked.
#[derive(Clone)]
pub struct CheckOptions<'a> {
    /// Threads that read samples; 0 counts as 1. The report does not depend on it.
    pub threads: usize,
    /// Pictures outside are faults.
    pub limits: Limits,
    /// Whether pictures are decoded: all that is wrong with them is found, and so are pictures that occur twice. Without
    /// it a source of files is counted from its annotations and the pictures' first bytes.
    pub decode: bool,
    /// What the source's reader left out, to be listed among the faults.
    pub read: Option<&'a ReadReport>,
    /// A source that must have no image of this one, such as the test set of a training set.
    pub other: Option<&'a dyn Source>,
}

impl Default for CheckOptions<'_> {
    /// Decodes, with as many threads as the machine has processors and default limits.
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            limits: Limits::default(),
            decode: true,
            read: None,
            other: None,
        }
    }
}

/// Reads everything once: texts, boxes and label of every sample, the pictures of every image. `progress` is told, on
/// this thread, how many samples are done and how many there are, the other source's included.
///
/// Memory is bounded by a few numbers an image: its key and the hash of its pixels. Nothing is an error: what cannot be
/// read is in the report.
pub fn check(
    source: &dyn Source,
    options: &CheckOptions<'_>,
    progress: &dyn Fn(usize, usize),
) -> CheckReport {
    let scan = Scan::new(source, options);
    let total = source.len() + options.other.map_or(0, Source::len);
    let mut tally = scan.run(&|done| progress(done, total));
    let mut report = CheckReport {
        source: source.name().into(),
        decoded: options.decode,
        samples: source.len(),
        images: scan.images(),
        ..CheckReport::default()
    };
    if let Some(read) = options.read {
        if read.left_out > 0 {
            report
                .fault_counts
                .insert(FaultKind::Record, read.left_out as u64);
        }
        let found = |fault: &crate::Fault| Found {
            kind: FaultKind::Record,
            fault: fault.clone(),
        };
        report.faults = read.faults.iter().take(MAX_LISTED).map(found).collect();
    }
    let sums = std::mem::take(&mut tally.sums);
    tally.write(source.labels(), &mut report);
    report.duplicates = overlap::duplicates(&sums);
    report.overlap = options.other.map(|other| {
        let theirs = if options.decode {
            Scan::new(other, options).run(&|done| progress(source.len() + done, total))
        } else {
            progress(total, total);
            tally::Tally::default()
        };
        Overlap {
            unreadable: theirs.unreadable(),
            ..overlap::overlap((source, &sums), (other, &theirs.sums))
        }
    });
    report
}
