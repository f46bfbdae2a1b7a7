//! Parity: a model with imported weights has the outputs of the library that the weights come from.
//!
//! `VLP_PARITY_DIR` names the folder of cases; by default it is that of these tests' fixtures. A case is written by
//! `scripts/parity/parity.py`: `NAME.json` with sizes, `NAME.safetensors` with inputs and outputs, and one or more files of
//! the same weights.
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

/// Maximum difference relative to an output's range. Both sides compute in f32, whose rounding errors are about 1e-6 of the
/// range for the deepest model.
const LIMIT: f64 = 1e-4;

fn folder() -> PathBuf {
    std::env::var_os("VLP_PARITY_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity"),
        PathBuf::from,
    )
}

/// Maximum difference relative to the range of `want`; NaN if one has a NaN or `want` is constant.
fn relative_difference(got: &Values, want: &Values) -> f64 {
    let (low, high) = want
        .values
        .iter()
        .fold((f64::MAX, f64::MIN), |(low, high), v| {
            (low.min(*v), high.max(*v))
        });
    let differences = got
        .values
        .iter()
        .zip(&want.values)
        .map(|(a, b)| (a - b).abs());
    // Unlike `f64::max` this propagates NaN.
    let worst = differences.fold(0.0, |worst: f64, d| if d <= worst { worst } else { d });
    worst / (high - low)
}

/// Compares all outputs of a case with weights from one of its files. Returns messages about those that disagree.
fn judge(case: &Case, weights: &Path) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let file = weights.file_name().unwrap_or_default().to_string_lossy();
    let (outputs, note) = models::outputs(case, weights)?;
    println!("{note}");
    let expected = case.with_prefix("out.");
    assert!(!expected.is_empty(), "{file}: no output to compare");
    let mut disagreements = vec![];
    for (name, want) in expected {
        let got = outputs.get(name).ok_or(format!("{name} is not computed"))?;
        if got.shape != want.shape {
            let (got, want) = (&got.shape, &want.shape);
            disagreements.push(format!("{file} {name}: shape {got:?}, expected {want:?}"));
            continue;
        }
        let difference = relative_difference(got, want);
        println!(
            "{file} {name} {:?}: {difference:.1e} of the range",
            got.shape
        );
        // False for NaN.
        let agrees = difference <= LIMIT;
        if !agrees {
            disagreements.push(format!("{file} {name}: {difference:.1e} of the range"));
        }
    }
    Ok(disagreements)
}

#[test]
fn imported_models_have_the_outputs_of_their_library() {
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
                Ok(messages) => disagreements.extend(messages),
                Err(error) => disagreements.push(format!("{file}: {error}")),
            }
        }
    }
    assert!(disagreements.is_empty(), "{}", disagreements.join("\n"));
}
