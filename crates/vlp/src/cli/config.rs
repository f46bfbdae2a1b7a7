//! `vlp config`.

use clap::Subcommand;
use vlp::VlpError;
use vlp::config::{PRESETS, explain};

use super::common_args::ConfigArgs;
use super::output::print;

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the resolved configuration as TOML with a description of every key.
    Show(ConfigArgs),
    /// List the presets.
    List,
}

impl ConfigCommand {
    pub(super) fn run(self) -> Result<(), VlpError> {
        match self {
            Self::Show(args) => print(format_args!("{}", explain(&args.resolve()?)?)),
            Self::List => {
                for (name, text) in PRESETS {
                    let description = text.lines().find_map(|line| line.strip_prefix("# "));
                    let description = description.unwrap_or_default();
                    print(format_args!("{name:16} {description}\n"))?;
                }
                Ok(())
            }
        }
    }
}
