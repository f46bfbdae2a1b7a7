//! `vlp scenes`.

use std::path::PathBuf;

use clap::Args;
use vlp::VlpError;
use vlp_scenes::{Scenes, ScenesConfig, Split};

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
    /// Which split: train, val or test.
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
        let config = ScenesConfig {
            split,
            count: self.count,
            ..self.settings.resolve()?.data.scenes
        };
        Scenes::new(config)?.write_to(&self.out)?;
        let (count, folder) = (self.count, self.out.display());
        print(format_args!("{count} scenes in {folder}\n"))
    }
}
