//! Choice of a run's checkpoint.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A checkpoint of a run: `last`, `best`, or the number of its step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CheckpointChoice {
    /// The newest complete one.
    #[default]
    Last,
    /// The best one by `checkpoint.best_by`.
    Best,
    /// The one of this step.
    Step(u64),
}

impl FromStr for CheckpointChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "last" => Ok(Self::Last),
            "best" => Ok(Self::Best),
            step => step
                .parse()
                .map(Self::Step)
                .map_err(|_| format!("checkpoint \"{step}\": use last, best or a step")),
        }
    }
}

impl TryFrom<String> for CheckpointChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for CheckpointChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last => f.write_str("last"),
            Self::Best => f.write_str("best"),
            Self::Step(step) => write!(f, "{step}"),
        }
    }
}

impl From<CheckpointChoice> for String {
    fn from(choice: CheckpointChoice) -> Self {
        choice.to_string()
    }
}
