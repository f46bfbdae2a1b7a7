//! Golden tensors: every case of a folder is run through the product and compared with PyTorch.
//!
//! `VLP_GOLDEN_DIR` names the folder; without it the cases beside these tests are run. A case is a
//! `NAME.json` with a `NAME.safetensors` beside it, as `scripts/golden/golden.py` writes them.
//!
//! A ratio is `max|difference|` over a fifth of what the case allows, so that above 5 it disagrees.
//! For a model's output that is `max|difference| / max(err_f32, 3e-6 max|value|)`, where `err_f32` is how
//! far PyTorch's own f32 run is from its f64 run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod case;
mod e2e;
mod model;
mod names;
mod ops;
mod recipe;
mod report;
mod soho;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use case::Case;
use report::Report;

fn folder() -> PathBuf {
    std::env::var_os("VLP_GOLDEN_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden"),
        PathBuf::from,
    )
}

/// Runs one case; a panic of the product is a disagreement of that case, not the end of the run.
fn run(name: &str, report: &mut Report, check: impl FnOnce(&mut Report) -> Result<(), String>) {
    report.begin(name);
    match catch_unwind(AssertUnwindSafe(|| check(report))) {
        Ok(Ok(())) => {}
        Ok(Err(message)) => report.fail("run", &message),
        Err(_) => report.fail("run", "panicked"),
    }
}

#[test]
fn golden() {
    let folder = folder();
    let names = case::discover(&folder);
    assert!(!names.is_empty(), "no case in {}", folder.display());
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
