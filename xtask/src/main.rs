//! Tasks of this repository: `cargo xtask tidy`, `cargo xtask ci`, `cargo xtask compare`, `cargo xtask results`,
//! `cargo xtask peer`, `cargo xtask ledger`, `cargo xtask gpu`, `cargo xtask distributed`, `cargo xtask scale`,
//! `cargo xtask torture`, `cargo xtask ablation`.
#![expect(
    clippy::print_stdout,
    reason = "a command line tool reports on standard output"
)]

#[cfg(target_os = "linux")]
mod ablation;
mod ci;
mod compare;
#[cfg(target_os = "linux")]
mod distributed;
mod features;
mod files;
mod ledger;
mod load;
mod mean;
mod names;
mod peer;
#[cfg(target_os = "linux")]
mod processes;
mod publish;
mod results;
mod tidy;
#[cfg(target_os = "linux")]
mod torture;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask tidy [--write]   check the repository's own rules; --write updates the crate table
       cargo xtask features           check that a package alone builds with the workspace's features
       cargo xtask publish --dry-run [--no-build]
                                      package every published crate, and build each from its archive
       cargo xtask ci [STAGE ...]     run the cargo stages of continuous integration (.ci/run), or some of them
       cargo xtask compare RUN RUN [LIMIT]
                                      compare the losses of two runs, to a relative LIMIT
       cargo xtask mean DIR [PAGE]    mean and spread over the seeds of the runs ARM-SEED or SUBJECT-ARM-SEED in a folder
       cargo xtask results RUN [PAGE]  put a run's validation metrics between the result markers of a page, README.md by default
       cargo xtask ledger [--write] [CASE ...]
                                      count kernels, uploads and reads on wgpu, and compare them with benches/ledger.toml; --write updates it
       cargo xtask distributed [--kills N] [--seed N] [--install] [--no-build] [SCENARIO ...]
                                      train with several processes: equal results, failures, hosts, Slurm
       cargo xtask scale              time a step of one process and of two, on a core each
       cargo xtask torture [--long] [--seed N] [--no-build] [--write-messages] [--inputs N] [--minutes N] [--no-burn] [NAME ...]
                                      kill, fail, starve and fuzz vlp, and compare what is left; --long writes docs/reliability.md
       cargo xtask ablation e2e-vlp|soho|generalization [--seeds N] [--steps N] [--task-steps N] [--out DIR] [--only VARIANT,...]
                      [--tasks TASK,...] [--device NAME] [--program FILE] [--jobs N] [--page FILE] [--report]
                                      pre-train and fine-tune variants of a model, and write a page of scores, tests and curves
       cargo xtask load RUN [--seconds N] [--index DIR]
                                      time the requests of 1, 8 and 64 clients of vlp serve, one at a time and in batches; with an
                                      index its searches alone
       cargo xtask gpu cuda|wgpu [MINUTES]
                                      measure graphs, fusion and the rows of peer on a GPU, in 10 minutes after the builds
       cargo xtask peer [--device NAME] [--precision bf16] [--simd LEVEL] [CASE ...]
                                      time vlp and PyTorch at the same work, write a page of docs/numbers; `table` only writes the pages,
                                      `two-step` compares with a detector and a transformer over its regions,
                                      `memory` measures a step's memory with each option";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // This crate is one folder below the repository's root.
    let Some(root) = Path::new(env!("CARGO_MANIFEST_DIR")).parent() else {
        return ExitCode::FAILURE;
    };
    let result = match arguments[..] {
        ["tidy"] => tidy::run(root, false),
        ["tidy", "--write"] => tidy::run(root, true),
        ["publish", "--dry-run"] => publish::dry_run(root, true),
        ["publish", "--dry-run", "--no-build"] => publish::dry_run(root, false),
        ["features"] => features::run(root),
        ["ci", ref stages @ ..] => ci::run(root, stages),
        ["compare", one, other] => compare::run(Path::new(one), Path::new(other), None),
        ["compare", one, other, limit] => {
            compare::run(Path::new(one), Path::new(other), Some(limit))
        }
        ["mean", folder] => mean::run(Path::new(folder), None),
        ["mean", folder, page] => mean::run(Path::new(folder), Some(Path::new(page))),
        ["results", run] => results::run(Path::new(run), &root.join("README.md")),
        ["results", run, page] => results::run(Path::new(run), Path::new(page)),
        ["ledger", ref words @ ..] => ledger::run(root, words),
        ["load", ref words @ ..] => load::run(root, words),
        #[cfg(target_os = "linux")]
        ["distributed", ref words @ ..] => distributed::run(root, words),
        #[cfg(target_os = "linux")]
        ["scale", ref words @ ..] => distributed::scale::run(root, words),
        #[cfg(target_os = "linux")]
        ["torture", ref words @ ..] => torture::run(root, words),
        #[cfg(target_os = "linux")]
        ["ablation", ref words @ ..] => ablation::run(root, words),
        ["gpu", ref words @ ..] => peer::gpu::run(root, words),
        ["peer", ref cases @ ..] => peer::run(root, cases),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("{message}");
            ExitCode::FAILURE
        }
    }
}
