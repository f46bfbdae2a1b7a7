//! Pre-trains E2E-VLP on generated scenes with its four objectives and counting.

use std::process::ExitCode;

use count_objects::{CountConfig, pretrain};
use vlp::config::{Sources, resolve};
use vlp::train::{RunChoice, TrainOptions};
use vlp::{Results, VlpError};

#[allow(clippy::print_stdout, reason = "the program's own output")]
fn main() -> ExitCode {
    match vlp::device::init_process().and_then(|()| run()) {
        Ok(results) => {
            print!("{results}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `count-objects DIR [KEY=VALUE]...`
fn run() -> Result<Results, VlpError> {
    let mut arguments = std::env::args().skip(1);
    let Some(out) = arguments.next() else {
        let usage = "usage: count-objects DIR [KEY=VALUE]..., where DIR is a new folder";
        return Err(VlpError::Config(usage.into()));
    };
    let mut set = vec!["train.steps=200".into(), "eval.examples=128".into()];
    set.extend(arguments);
    let config = resolve(&Sources {
        quick: true,
        set,
        ..Sources::default()
    })?;
    let options = TrainOptions::new(config, RunChoice::New(out.into()));
    pretrain(&options, Some(&CountConfig::default()))
}
