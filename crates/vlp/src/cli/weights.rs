//! `vlp weights`.

use std::path::PathBuf;

use clap::Subcommand;
use vlp::VlpError;
use vlp::run::export;
use vlp::weights::inspect;

use super::common_args::{CheckpointArgs, DeviceArgs};
use super::output::print;

#[derive(Subcommand)]
pub(super) enum WeightsCommand {
    /// List the tensors of a .safetensors or .pth file and name its layout.
    Inspect {
        /// The file.
        file: PathBuf,
    },
    /// Write model and heads of a run as one .safetensors file, or as a Hugging Face folder (config.json,
    /// model.safetensors, tokenizer.json), which is accepted wherever a run folder is.
    Export {
        /// Folder of the run.
        run: PathBuf,
        /// The .safetensors file to write, or a new folder.
        out: PathBuf,
        #[command(flatten)]
        checkpoint: CheckpointArgs,
        #[command(flatten)]
        device: DeviceArgs,
    },
}

impl WeightsCommand {
    pub(super) fn run(self) -> Result<(), VlpError> {
        match self {
            Self::Inspect { file } => print(format_args!("{}", inspect(&file)?)),
            Self::Export {
                run,
                out,
                checkpoint,
                device,
            } => {
                let device = vlp::device::pick(&device.name)?;
                let count = export(&run, checkpoint.choice, &out, &device)?;
                print(format_args!("{count} tensors in {}\n", out.display()))
            }
        }
    }
}
