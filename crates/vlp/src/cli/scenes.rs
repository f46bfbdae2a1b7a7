//! `vlp scenes`.

use std::path::PathBuf;

use clap::Args;
use vlp::VlpError;
use vlp::config::{Sources, resolve};
use vlp_scenes::{Scenes, Split};

use super::common_args::SettingsArgs;
use super::output::print;

#[derive(Args)]
pub(super) struct ScenesArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Folder to write to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of scenes.
    #[arg(long, default_value_t = 100)]
    count: usize,
    /// Split: train, val or test.
    #[arg(long, default_value = "train")]
    split: String,
}

impl ScenesArgs {
    pub(super) fn run(self) -> Result<(), VlpError> {
        let split = match self.split.as_str() {
            "train" => Split::Train,
            "val" => Split::Val,
            "test" => Split::Test,
            other => {
                let message = format!("--split {other}: use train, val or test");
                return Err(VlpError::Config(message));
            }
        };
        let config = self.settings.resolve(&["data.scenes."], vec![])?;
        let preset = resolve(&Sources {
            preset: Some(config.preset),
            ..Sources::default()
        })?;
        let (scenes, default) = (config.data.scenes, preset.data.scenes);
        for (key, flag, is_changed) in [
            (
                "data.scenes.count",
                "--count",
                scenes.count != default.count,
            ),
            (
                "data.scenes.split",
                "--split",
                scenes.split != default.split,
            ),
        ] {
            let mut set = self.settings.set.iter();
            let is_set = set.any(|entry| entry.split('=').next().is_some_and(|k| k.trim() == key));
            if is_changed || is_set {
                return Err(VlpError::Config(format!("{key}: use {flag}")));
            }
        }
        let config = scenes.with_split(split).with_count(self.count);
        let annotations = self.out.join("annotations");
        let captions = annotations.join(format!("captions_{}.json", self.split));
        if captions.exists() {
            let message = format!("--out: {} exists; use another folder", captions.display());
            return Err(VlpError::Config(message));
        }
        Scenes::new(config)?.write_to(&self.out)?;
        let (count, folder) = (self.count, self.out.display());
        print(format_args!("{count} scenes in {folder}\n"))
    }
}
