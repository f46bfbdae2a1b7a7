//! Files that are replaced only if they are earlier outputs of the same kind.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::VlpError;

/// Bytes that are read of a file to recognize it.
const HEAD: u64 = 1 << 16;

/// Kinds of files that a command writes in the place of an earlier one, and of nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EarlierFile {
    /// The JSON of `vlp data check` and `stats`.
    CheckReport,
    /// The page of `vlp data view`.
    DataPage,
    /// `predictions.json` of `vlp predict`.
    Predictions,
    /// `predictions.html` of `vlp predict`.
    PredictionPage,
    /// The JSON of `vlp search`.
    Hits,
    /// The page of `vlp dictionary`.
    DictionaryPage,
}

impl EarlierFile {
    /// Refuses a path at which there is a file of another kind, or a folder. An empty file and a device may be written to.
    ///
    /// # Errors
    /// [`VlpError::Config`] that names the file, [`VlpError::Io`] if it cannot be read.
    pub fn check(self, path: &Path) -> Result<(), VlpError> {
        let refuse = |reason: &str| {
            let path = path.display();
            Err(VlpError::Config(format!("{path}: {reason}")))
        };
        if path.is_dir() {
            return refuse("it is a folder; name a file");
        }
        // What `/dev/stdout` is written to may be a file.
        if !path.is_file() || path.starts_with("/dev") {
            return Ok(());
        }
        let mut head = vec![];
        let file = File::open(path).map_err(VlpError::io(path))?;
        let read = file.take(HEAD).read_to_end(&mut head);
        read.map_err(VlpError::io(path))?;
        let head = String::from_utf8_lossy(&head);
        let (start, mark, name) = self.marks();
        match head.is_empty() || head.starts_with(start) && head.contains(mark) {
            true => Ok(()),
            false => refuse(&format!(
                "it exists and is not {name}, so it is not replaced; use another name, or remove it"
            )),
        }
    }

    /// How a file of this kind begins, what is in its first bytes, and what it is called.
    fn marks(self) -> (&'static str, &'static str, &'static str) {
        const PAGE: &str = "<!DOCTYPE html>";
        match self {
            Self::CheckReport => (
                "{\n  \"source\": ",
                "\n  \"decoded\": ",
                "a report of vlp data check or stats",
            ),
            Self::DataPage => (PAGE, "<dt>issues</dt>", "a page of vlp data view"),
            Self::Predictions => (
                "[\n  {\n    \"image\": ",
                "\n    \"objects\": ",
                "an output of vlp predict",
            ),
            Self::PredictionPage => (
                PAGE,
                "<title>vlp predictions</title>",
                "an output of vlp predict",
            ),
            Self::Hits => ("{\n  \"hits\": [", "", "an output of vlp search"),
            Self::DictionaryPage => (
                PAGE,
                "<title>Visual dictionary: ",
                "a page of vlp dictionary",
            ),
        }
    }
}
