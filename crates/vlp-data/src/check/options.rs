use crate::{Limits, ReadReport, Source};
use getset::WithSetters;

/// Options of [`check`](super::check()).
#[derive(Clone, WithSetters)]
#[getset(set_with = "pub")]
#[non_exhaustive]
pub struct CheckOptions<'a> {
    /// Number of reading threads; 0 counts as 1. The report does not depend on it.
    pub threads: usize,
    /// Images outside these limits are issues.
    pub limits: Limits,
    /// Whether to decode the images. Damaged and duplicate images are found only if they are decoded; otherwise sizes come
    /// from the annotations or the image headers.
    pub decode: bool,
    /// The report of the source's reader; its skipped records are listed among the issues.
    pub read_report: Option<&'a ReadReport>,
    /// A source that must not share an image with the checked one, such as the test set of a training set.
    pub other: Option<&'a dyn Source>,
}

impl Default for CheckOptions<'_> {
    /// Decodes, with one thread per processor and default limits.
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            limits: Limits::default(),
            decode: true,
            read_report: None,
            other: None,
        }
    }
}

impl std::fmt::Debug for CheckOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckOptions")
            .field("threads", &self.threads)
            .field("limits", &self.limits)
            .field("decode", &self.decode)
            .field("read_report", &self.read_report)
            .field("other", &self.other.map(Source::name))
            .finish()
    }
}
