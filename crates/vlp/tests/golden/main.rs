//! Golden tensors: every case of a folder is computed and compared with PyTorch.
//!
//! `VLP_GOLDEN_DIR` names the folder; by default it is that of these tests' fixtures. A case is a `NAME.json` with a
//! `NAME.safetensors`, written by `scripts/golden/golden.py`.
//!
//! A ratio is `max|difference|` divided by a fifth of the tolerance; above 5 the values disagree. For a model's output it is
//! `max|difference| / max(err_f32, 3e-6 max|value|)`, where `err_f32` is the difference between PyTorch's f32 and f64 runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod captured;
mod case;
mod e2e;
mod graphs;
mod model;
mod names;
mod ops;
mod recipe;
mod report;
mod soho;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use burn::prelude::*;
use case::Case;
use report::Report;
use vlp_train::Precision;

fn folder() -> PathBuf {
    std::env::var_os("VLP_GOLDEN_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden"),
        PathBuf::from,
    )
}

/// Runs one case; a panic is a failure of that case, not the end of the run.
fn run(name: &str, report: &mut Report, check: impl FnOnce(&mut Report) -> Result<(), String>) {
    report.begin(name);
    match catch_unwind(AssertUnwindSafe(|| check(report))) {
        Ok(Ok(())) => {}
        Ok(Err(message)) => report.fail("run", &message),
        Err(_) => report.fail("run", "panicked"),
    }
}

#[test]
fn outputs_agree_with_pytorch() {
    let folder = folder();
    let names = case::discover(&folder);
    assert!(!names.is_empty(), "no case in {}", folder.display());
    // The tolerances are for f32; a GPU may have TF32.
    Precision::F32.set(&Device::default()).unwrap();
    let mut report = Report::default();
    for name in names {
        match name.split('_').next().unwrap_or_default() {
            "ops" => {
                let case = Case::load(&folder, &name).unwrap();
                for (operation, attributes) in case.json.as_object().unwrap() {
                    run(operation, &mut report, |report| {
                        ops::run(&case, operation, attributes, report)
                    });
                }
            }
            "e2e" => run(&name, &mut report, |report| {
                e2e::run(&Case::load(&folder, &name)?, report)
            }),
            "soho" => run(&name, &mut report, |report| {
                soho::run(&Case::load(&folder, &name)?, report)
            }),
            _ => report.skip(&name),
        }
    }
    report.finish();
}
