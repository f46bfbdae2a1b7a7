//! Parity: imported weights give the outputs of the library that they come from.
//!
//! `VLP_PARITY_DIR` names the folder of cases; without it the small ones beside these tests are run. A case is what
//! `scripts/parity/parity.py` writes: `NAME.json` with sizes, `NAME.safetensors` with inputs and outputs, and one or
//! more files of the same weights.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

#[path = "../golden/case.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
mod case;
mod models;

use std::path::{Path, PathBuf};

use case::{Case, Values};

/// Largest difference that agrees, as a share of an output's range: both sides compute in f32, whose rounding
/// comes to some 1e-6 of the range after the deepest model.
const LIMIT: f64 = 1e-4;

fn folder() -> PathBuf {
    std::env::var_os("VLP_PARITY_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity"),
        PathBuf::from,
    )
}

/// Largest difference as a share of the range of `want`; NaN where either holds one or `want` is constant.
fn share(got: &Values, want: &Values) -> f64 {
    let (low, high) = want.at.iter().fold((f64::MAX, f64::MIN), |(low, high), v| {
        (low.min(*v), high.max(*v))
    });
    let differences = got.at.iter().zip(&want.at).map(|(a, b)| (a - b).abs());
    // Unlike `f64::max` this keeps what is not a number.
    let worst = differences.fold(0.0, |worst: f64, d| if d <= worst { worst } else { d });
    worst / (high - low)
}

/// Every output of a case from one of its files; what disagrees, in words.
fn judge(case: &Case, weights: &Path) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let file = weights.file_name().unwrap_or_default().to_string_lossy();
    let (outputs, note) = models::outputs(case, weights)?;
    println!("{note}");
    let expected = case.under("out.");
    assert!(!expected.is_empty(), "{file}: no output to compare");
    let mut disagreements = vec![];
    for (name, want) in expected {
        let got = outputs.get(name).ok_or(format!("{name} is not computed"))?;
        if got.shape != want.shape {
            let (got, want) = (&got.shape, &want.shape);
            disagreements.push(format!("{file} {name}: shape {got:?}, expected {want:?}"));
            continue;
        }
        let share = share(got, want);
        println!("{file} {name} {:?}: {share:.1e} of the range", got.shape);
        // False for what is not a number.
        let agrees = share <= LIMIT;
        if !agrees {
            disagreements.push(format!("{file} {name}: {share:.1e} of the range"));
        }
    }
    Ok(disagreements)
}

#[test]
fn parity() {
    let folder = folder();
    let names = case::discover(&folder);
    assert!(!names.is_empty(), "no case in {}", folder.display());
    let mut disagreements = vec![];
    for name in names {
        let case = Case::load(&folder, &name).unwrap();
        let files = case.json["weights"].as_array().unwrap();
        assert!(!files.is_empty(), "{name}: no weights");
        for file in files {
            let file = file.as_str().unwrap();
            match judge(&case, &folder.join(file)) {
                Ok(found) => disagreements.extend(found),
                Err(error) => disagreements.push(format!("{file}: {error}")),
            }
        }
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}
