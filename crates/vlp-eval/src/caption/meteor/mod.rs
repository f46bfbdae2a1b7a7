//! METEOR 1.5 (Denkowski & Lavie, WMT 2014), computed by its Java program, which the COCO caption tool runs as well.
//!
//! Needs a Java runtime and `meteor-1.5.jar` next to its folder `data`. Both the METEOR distribution and
//! `pip install pycocoevalcap` (folder `meteor`) contain the jar and the folder.

mod error;
mod process;

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use super::pair::{TokenizedPair, check_pairs};
pub use error::MeteorError;
use process::Process;

/// Timeout of a response. The first one includes the start of Java and loading the paraphrase table, the last
/// one the score of the whole set.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Path of the paraphrase table relative to the jar; METEOR needs it for English.
const PARAPHRASE_TABLE: &str = "data/paraphrase-en.gz";

/// METEOR scores of a set of captions.
#[derive(Debug, Clone, PartialEq)]
pub struct MeteorScores {
    /// Score of the whole set in 0..=1, computed from the summed statistics; not the mean of `pairs`.
    pub meteor: f64,
    /// Score of each pair in 0..=1, in order of the pairs.
    pub pairs: Vec<f64>,
}

/// A running METEOR process, which is killed when this value is dropped.
#[derive(Debug)]
pub struct Meteor {
    process: Process,
}

impl Meteor {
    /// Starts `java -jar -Xmx2G meteor-1.5.jar - - -stdio -l en -norm`.
    ///
    /// # Errors
    /// [`MeteorError::MissingFile`] without the jar or its paraphrase table, [`MeteorError::JavaNotStarted`].
    pub fn new(jar: impl AsRef<Path>) -> Result<Self, MeteorError> {
        Self::with_java(jar, "java", TIMEOUT)
    }

    /// Same as [`Self::new`] with this Java program and a timeout for each response. The first response
    /// takes about 5 s for the start.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_java(
        jar: impl AsRef<Path>,
        java: impl AsRef<OsStr>,
        timeout: Duration,
    ) -> Result<Self, MeteorError> {
        let jar = jar.as_ref();
        for file in [jar.to_owned(), jar.with_file_name(PARAPHRASE_TABLE)] {
            if !file.is_file() {
                return Err(MeteorError::MissingFile { file });
            }
        }
        let mut options = ["-jar", "-Xmx2G"].map(OsStr::new).to_vec();
        options.push(jar.as_os_str());
        options.extend(["-", "-", "-stdio", "-l", "en", "-norm"].map(OsStr::new));
        let process = Process::start(java.as_ref(), &options, timeout)?;
        Ok(Self { process })
    }

    /// Scores pairs that are tokenized as in the official tool by [`tokenize_pairs`](super::tokenize_pairs).
    ///
    /// # Errors
    /// [`MeteorError::Score`] without pairs or references; [`MeteorError::Exited`],
    /// [`MeteorError::Timeout`], [`MeteorError::InvalidResponse`] from the process, which cannot be
    /// used any more after one of these.
    pub fn score(&mut self, pairs: &[TokenizedPair]) -> Result<MeteorScores, MeteorError> {
        check_pairs("METEOR", pairs)?;
        let mut eval_line = String::from("EVAL");
        for pair in pairs {
            self.process.send(score_line(pair))?;
            let statistics = self.process.receive()?;
            if !is_statistics(&statistics) {
                let expected = "numbers separated by spaces";
                return Err(MeteorError::InvalidResponse {
                    response: statistics,
                    expected,
                });
            }
            eval_line += " ||| ";
            eval_line += &statistics;
        }
        self.process.send(eval_line)?;
        let scores: Result<_, _> = pairs.iter().map(|_| self.receive_score()).collect();
        Ok(MeteorScores {
            pairs: scores?,
            meteor: self.receive_score()?,
        })
    }

    fn receive_score(&mut self) -> Result<f64, MeteorError> {
        let response = self.process.receive()?;
        match response.parse() {
            Ok(score) if f64::is_finite(score) => Ok(score),
            _ => Err(MeteorError::InvalidResponse {
                response,
                expected: "a finite score",
            }),
        }
    }
}

/// `SCORE ||| reference ||| .. ||| caption`, cleaned as in the official tool. In addition `|||` is removed from
/// references, where it would start another reference.
fn score_line(pair: &TokenizedPair) -> String {
    let mut line = String::from("SCORE");
    for reference in &pair.references {
        line += " ||| ";
        line += &reference.join(" ").replace("|||", "");
    }
    let caption = pair.hypothesis.join(" ").replace("|||", "");
    line += " ||| ";
    line += &caption.replace("  ", " ");
    line.replace(['\n', '\r'], " ")
}

fn is_statistics(response: &str) -> bool {
    let mut numbers = response.split_whitespace().peekable();
    numbers.peek().is_some() && numbers.all(|n| n.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn score_line_has_references_then_the_caption() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        let pair = TokenizedPair {
            hypothesis: words("a ||| b  c"),
            references: vec![words("x y"), words("z ||| w")],
        };
        // Double spaces are removed from the caption, not from the references.
        assert_eq!(score_line(&pair), "SCORE ||| x y ||| z  w ||| a b c");
    }
}
