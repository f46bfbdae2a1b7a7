//! The `vlp` program.

mod cli;

use std::process::ExitCode;

/// On GPUs three threads free what other threads allocated, which is slow with glibc's allocator.
#[cfg(feature = "gpu")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code of a training that a signal stopped: `EX_TEMPFAIL`, try again later.
const STOPPED: u8 = 75;

fn main() -> ExitCode {
    match vlp::device::init_process().and_then(|()| cli::run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ vlp::VlpError::Stopped { .. }) => {
            cli::output::warn(format_args!("{error}"));
            ExitCode::from(STOPPED)
        }
        Err(error) => {
            cli::output::warn(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
