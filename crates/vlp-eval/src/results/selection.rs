//! Selection of the annotated items that a result file is scored on.

/// The annotated images, questions or NLVR2 pairs that a result file is scored on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Selection<'a, I = u64> {
    /// All of them. Except for detections, a result file that lacks one is an error.
    #[default]
    All,
    /// Those that the result file has records of, such as the 5,000 test images of Karpathy's split of val2014.
    InResults,
    /// These ids. The result file must have records of these and of no others.
    Ids(&'a [I]),
}

/// Metrics of a result file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FileScores<S> {
    /// The metrics.
    pub scores: S,
    /// Number of images, questions or NLVR2 pairs that were scored.
    pub scored: usize,
    /// Number of those in the annotations.
    pub annotated: usize,
    /// Number of scored images without a detection; 0 for other files.
    pub without_results: usize,
    /// Records that were not scored, as in the official tools, and detections without area or outside of their image; one
    /// sentence each.
    pub notes: Vec<String>,
}

impl<S> FileScores<S> {
    pub(super) fn new(scores: S, scored: usize, annotated: usize) -> Self {
        Self {
            scores,
            scored,
            annotated,
            without_results: 0,
            notes: Vec::new(),
        }
    }
}
