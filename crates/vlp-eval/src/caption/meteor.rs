//! METEOR 1.5 by its own program (Denkowski & Lavie, WMT 2014), as the COCO caption tool runs it.
//!
//! Java and the jar are the user's: `meteor-1.5.jar` with its folder `data` beside it comes with
//! METEOR and with `pip install pycocoevalcap` (folder `meteor`).

mod process;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::TokenizedPair;
use crate::EvalError;
use process::Process;

/// How long an answer may take: the first one waits for Java and the paraphrase table, the last
/// for the whole set.
const PATIENCE: Duration = Duration::from_secs(120);
/// Beside the jar; METEOR cannot score English without it.
const PARAPHRASES: &str = "data/paraphrase-en.gz";

/// Why METEOR gave no score.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MeteorError {
    /// Java could not be started.
    #[error("{java}: {source}; METEOR needs a Java runtime (apt-get install default-jre-headless)")]
    NoJava {
        /// The program that was to be started.
        java: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The jar, or the table it reads, is not there.
    #[error("{}: no such file; expected meteor-1.5.jar with data/paraphrase-en.gz beside it (pip install pycocoevalcap brings both)", file.display())]
    NoFile {
        /// The missing file.
        file: PathBuf,
    },
    /// The process ended before it answered.
    #[error("METEOR ended before it answered: {stderr}")]
    Ended {
        /// The last that it wrote to its error output.
        stderr: String,
    },
    /// The process did not answer in time; it was ended.
    #[error("METEOR did not answer within {seconds} s: {stderr}")]
    NoAnswer {
        /// How long it was waited for.
        seconds: u64,
        /// The last that it wrote to its error output.
        stderr: String,
    },
    /// An answer that is no score, or no statistics.
    #[error("METEOR answered {answer:?}: expected {expected}")]
    BadAnswer {
        /// The answer.
        answer: String,
        /// What it should have been.
        expected: &'static str,
    },
    /// A set that cannot be scored.
    #[error(transparent)]
    Score(#[from] EvalError),
}

/// METEOR of a set of captions.
#[derive(Debug, Clone, PartialEq)]
pub struct MeteorScores {
    /// Of the whole set, 0..=1: from the sums of all statistics, not the mean of the others.
    pub meteor: f64,
    /// Of each pair, 0..=1, in the order given.
    pub pairs: Vec<f64>,
}

/// A running METEOR; it ends with the value.
#[derive(Debug)]
pub struct Meteor {
    process: Process,
}

impl Meteor {
    /// Starts `java -jar -Xmx2G meteor-1.5.jar - - -stdio -l en -norm`.
    ///
    /// # Errors
    /// [`MeteorError::NoFile`] without the jar or its paraphrase table, [`MeteorError::NoJava`].
    pub fn new(jar: impl AsRef<Path>) -> Result<Self, MeteorError> {
        Self::with_java(jar, "java", PATIENCE)
    }

    /// As [`Self::new`] with this Java, and `patience` for each answer (the first includes the
    /// start, about 5 s).
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_java(
        jar: impl AsRef<Path>,
        java: impl AsRef<OsStr>,
        patience: Duration,
    ) -> Result<Self, MeteorError> {
        let jar = jar.as_ref();
        for file in [jar.to_owned(), jar.with_file_name(PARAPHRASES)] {
            if !file.is_file() {
                return Err(MeteorError::NoFile { file });
            }
        }
        let mut options = ["-jar", "-Xmx2G"].map(OsStr::new).to_vec();
        options.push(jar.as_os_str());
        options.extend(["-", "-", "-stdio", "-l", "en", "-norm"].map(OsStr::new));
        let process = Process::start(java.as_ref(), &options, patience)?;
        Ok(Self { process })
    }

    /// Scores pairs that are split as the official tool splits them
    /// ([`tokenize_pairs`](super::tokenize_pairs)).
    ///
    /// # Errors
    /// [`MeteorError::Score`] without pairs or references; [`MeteorError::Ended`],
    /// [`MeteorError::NoAnswer`], [`MeteorError::BadAnswer`] from the process, which cannot be
    /// used again after one of these.
    pub fn score(&mut self, pairs: &[TokenizedPair]) -> Result<MeteorScores, MeteorError> {
        super::check("METEOR", pairs)?;
        let mut all = String::from("EVAL");
        for pair in pairs {
            self.process.send(score_line(pair))?;
            let statistics = self.process.receive()?;
            if !is_statistics(&statistics) {
                let expected = "numbers parted by spaces";
                return Err(MeteorError::BadAnswer {
                    answer: statistics,
                    expected,
                });
            }
            all += " ||| ";
            all += &statistics;
        }
        self.process.send(all)?;
        let scores: Result<_, _> = pairs.iter().map(|_| self.number()).collect();
        Ok(MeteorScores {
            pairs: scores?,
            meteor: self.number()?,
        })
    }

    fn number(&mut self) -> Result<f64, MeteorError> {
        let answer = self.process.receive()?;
        match answer.parse() {
            Ok(score) if f64::is_finite(score) => Ok(score),
            _ => Err(MeteorError::BadAnswer {
                answer,
                expected: "a finite score",
            }),
        }
    }
}

/// `SCORE ||| reference ||| .. ||| caption`, cleaned as the official tool does it. It leaves
/// references as they are, where `|||` would count as another reference: it goes there, too.
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

fn is_statistics(answer: &str) -> bool {
    let mut numbers = answer.split_whitespace().peekable();
    numbers.peek().is_some() && numbers.all(|n| n.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_references_then_the_caption() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        let pair = TokenizedPair {
            hypothesis: words("a ||| b  c"),
            references: vec![words("x y"), words("z ||| w")],
        };
        // Double spaces go from the caption, not from the references.
        assert_eq!(score_line(&pair), "SCORE ||| x y ||| z  w ||| a b c");
    }
}
