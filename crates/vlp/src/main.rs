//! The `vlp` program.

mod cli;

use std::process::ExitCode;

/// On GPUs three threads free what other threads allocated, which is slow with glibc's allocator.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match vlp::device::init_process().and_then(|()| cli::run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::output::warn(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
