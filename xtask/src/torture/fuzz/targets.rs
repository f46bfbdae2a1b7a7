//! The fuzz targets, and what decides what they do.

use std::path::Path;

use super::counts;

/// A program that reads inputs.
pub(super) struct Target {
    pub(super) name: &'static str,
    /// Length of the longest inputs in bytes.
    pub(super) max_len: usize,
    /// Inputs by hand, over all runs of the command, in thousands: ten times as many where an input takes microseconds.
    pub(super) long: usize,
    /// The crate that it is about.
    package: &'static str,
    /// What else in `crates` decides what it does.
    others: &'static [&'static str],
    /// Whether it is built with burn, which takes many minutes.
    pub(super) burn: bool,
}

/// The values of a configuration, their checks, presets and descriptions.
const CONFIGURATION: [&str; 9] = [
    "vlp-data/src",
    "vlp-models/src",
    "vlp-objectives/src",
    "vlp-scenes/src",
    "vlp-train/src",
    "vlp-transformer/src",
    "vlp-vision/src",
    "vlp/presets",
    "vlp/configuration.md",
];

const fn target(name: &'static str, max_len: usize, long: usize, package: &'static str) -> Target {
    Target {
        name,
        max_len,
        long,
        package,
        others: &[],
        burn: false,
    }
}

const fn with_burn(target: Target, others: &'static [&'static str]) -> Target {
    Target {
        others,
        burn: true,
        ..target
    }
}

/// 100 million inputs in all.
pub(super) const TARGETS: [Target; 12] = [
    target("images", 4 << 10, 15_000, "vlp-data"),
    target("tar", 16 << 10, 1_000, "vlp-data"),
    target("json_readers", 4 << 10, 2_000, "vlp-data"),
    target("json_lines", 4 << 10, 2_000, "vlp-data"),
    target("result_files", 4 << 10, 2_000, "vlp-eval"),
    target("pth", 8 << 10, 1_000, "vlp-weights"),
    target("safetensors", 4 << 10, 71_000, "vlp-weights"),
    target("index_caches", 4 << 10, 2_000, "vlp-data"),
    target("caption_tokenizer", 1 << 9, 1_000, "vlp-eval"),
    target("word_pieces", 1 << 8, 1_000, "vlp-text"),
    with_burn(target("checkpoints", 4 << 10, 1_000, "vlp-train"), &[]),
    with_burn(target("configs", 4 << 10, 1_000, "vlp"), &CONFIGURATION),
];

impl Target {
    /// A hash of what decides what it does.
    pub(super) fn code(&self, root: &Path) -> Result<String, String> {
        let package = format!("{}/src", self.package);
        let crates = ["vlp-fuzz/src", "vlp-files/src", &package];
        counts::code(root, crates.into_iter().chain(self.others.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;

    use super::*;
    use crate::processes::folders;

    #[test]
    fn the_targets_have_a_hundred_million_inputs() {
        assert!(TARGETS.iter().map(|target| target.long).sum::<usize>() >= 100_000);
        assert!(TARGETS.iter().all(|target| target.long >= 1_000));
    }

    #[test]
    fn what_the_targets_run_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for target in &TARGETS {
            target.code(root).unwrap();
        }
        // Every crate whose configuration is a part of that of `vlp`.
        let configs = TARGETS.iter().find(|target| target.name == "configs");
        let configs = configs.unwrap();
        for file in folders::files(&root.join("crates/vlp/src/config")).unwrap() {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for part in code.split("use vlp_").skip(1) {
                let name = part.split([':', ';', ' ']).next().unwrap();
                let sources = format!("vlp-{name}/src");
                assert!(
                    configs.others.contains(&sources.as_str()),
                    "{}: {sources}",
                    file.display()
                );
            }
        }
    }
}
