//! The `vlp` program.

mod cli;

use std::process::ExitCode;
use std::time::Duration;

/// On GPUs three threads free memory that other threads allocated, which is slow with glibc's allocator.
#[cfg(feature = "gpu")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long processes other than the first wait before they report an error.
const ERROR_DELAY: Duration = Duration::from_secs(2);
/// Exit code of a training that a signal stopped: `EX_TEMPFAIL`, try again later.
const STOPPED: u8 = 75;
/// Exit code after a panic, that of Rust's runtime.
const PANICKED: u8 = 101;

fn main() -> ExitCode {
    // MPI is initialized before any other thread starts.
    let processes = match vlp_distributed::connect() {
        Ok(processes) => processes,
        Err(error) => {
            cli::output::warn(format_args!("error: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let group = processes.clone();
    let run = || vlp::device::init_process().and_then(|()| cli::run(&group));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    let code = match &result {
        Ok(Ok(())) => 0,
        Ok(Err(vlp::VlpError::Stopped { .. })) => STOPPED,
        Ok(Err(_)) => 1,
        Err(_) => PANICKED,
    };
    let has_ended_well = matches!(code, 0 | STOPPED);
    if processes.rank() > 0 && !has_ended_well {
        // The error of one process reaches all: the first prints it and ends the others.
        std::thread::sleep(ERROR_DELAY);
    }
    if let Ok(Err(error)) = result
        && (processes.rank() == 0 || !has_ended_well)
    {
        let prefix = if has_ended_well { "" } else { "error: " };
        match processes.rank() {
            0 => cli::output::warn(format_args!("{prefix}{error}")),
            rank => cli::output::warn(format_args!("{prefix}rank {rank}: {error}")),
        }
    }
    if processes.world_size() > 1 && !has_ended_well {
        processes.abort(code.into());
    }
    processes.finalize();
    ExitCode::from(code)
}
