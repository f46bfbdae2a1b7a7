//! The sizes of a run, for its page.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Steps, batch, validation and scenes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sizes {
    steps: i64,
    /// Examples a step.
    batch: i64,
    /// Examples of an evaluation.
    examples: i64,
    /// Images whose retrieval an evaluation scores; 0 without.
    retrieval: i64,
    /// Of pre-training: side of the scenes in pixels, and texts an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scenes: Option<(i64, i64)>,
}

impl Sizes {
    /// From the resolved configuration of a run.
    pub(super) fn read(configuration: &str, is_pretraining: bool) -> Option<Self> {
        let table: toml::Table = configuration.parse().ok()?;
        let value = |group: &str, key: &str| table.get(group)?.get(key);
        let number = |group: &str, key: &str| value(group, key)?.as_integer();
        let scenes = || {
            let side = value("data", "scenes")?.get("resolution")?.as_integer()?;
            Some((side, number("data", "texts_per_image")?))
        };
        Some(Self {
            steps: number("train", "steps")?,
            batch: number("data", "batch_size")? * number("train", "accumulate")?,
            examples: number("eval", "examples")?,
            retrieval: number("eval", "retrieval").unwrap_or(0),
            scenes: is_pretraining.then(scenes).flatten(),
        })
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (steps, batch, examples) = (self.steps, self.batch, self.examples);
        write!(f, "{steps} steps of {batch} examples, scored on {examples}")?;
        if let Some((side, texts)) = self.scenes {
            let texts = match texts {
                1 => "one text".to_owned(),
                texts => format!("{texts} texts"),
            };
            write!(f, ", {side} x {side} pixels, {texts} an image")?;
        }
        match self.retrieval {
            0 => Ok(()),
            images => write!(f, " ({images} images in retrieval)"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        let text = "[data]\nbatch_size = 16\ntexts_per_image = 1\n[data.scenes]\nresolution = 64\n\
                    [train]\naccumulate = 2\nsteps = 4\n[eval]\nexamples = 8\nretrieval = 50\n";
        let sizes = |is_pretraining| Sizes::read(text, is_pretraining).unwrap().to_string();
        assert_eq!(
            sizes(true),
            "4 steps of 32 examples, scored on 8, 64 x 64 pixels, one text an image (50 images in retrieval)"
        );
        assert_eq!(
            sizes(false),
            "4 steps of 32 examples, scored on 8 (50 images in retrieval)"
        );
        assert_eq!(Sizes::read("[data]\n", false), None);
    }
}
