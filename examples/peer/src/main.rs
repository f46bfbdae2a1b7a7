//! Worker of `cargo xtask peer`: reads a request a line on standard input, answers each with a line of JSON.
//!
//! `benches/peer/README.md` has the protocol and the cases.

mod arrays;
mod batch;
mod cases;
#[cfg(feature = "ledger")]
mod count;
mod error;
mod fresh;
#[cfg(feature = "ledger")]
mod ledger;
mod memory;
mod module;
mod output;
mod prepare;
mod protocol;
mod setup;

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use protocol::{THREADS, Worker};

/// As the `vlp` program's.
#[cfg(feature = "gpu")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    vlp::device::tune_allocator();
    if let Err(error) = vlp_ops::init_simd() {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers until the input ends.
fn serve() -> io::Result<()> {
    let threads = rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .use_current_thread();
    threads.build_global().map_err(io::Error::other)?;
    let mut worker = Worker::default();
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        if !line.trim().is_empty() {
            writeln!(output, "{}", worker.answer(&line))?;
            output.flush()?;
        }
    }
    Ok(())
}
