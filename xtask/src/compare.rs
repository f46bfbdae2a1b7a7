//! Two runs of the same configuration on different devices: do their losses agree?

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Relative difference allowed at the first step: the same weights and batch, sums in another order.
const FIRST: f64 = 1e-3;
/// At later steps: Adam divides by the gradient's own size, so rounding grows.
const LATER: f64 = 5e-2;

/// Fails if a total loss of two `metrics.jsonl` differs by more than is allowed: `limit`, or what two devices may.
pub(crate) fn run(one: &Path, other: &Path, limit: Option<&str>) -> Result<(), String> {
    let limit = limit.map(str::parse::<f64>).transpose();
    let limit = limit.map_err(|e| format!("the relative difference allowed: {e}"))?;
    let (a, b) = (totals(one)?, totals(other)?);
    if a.is_empty() || a.len() != b.len() {
        return Err(format!(
            "{} and {} losses: the runs differ in length",
            a.len(),
            b.len()
        ));
    }
    let mut worst = (0.0, 0);
    for (step, (x, y)) in a.iter().zip(&b).enumerate() {
        let relative = (x - y).abs() / x.abs().max(1e-12);
        println!(
            "step {:>3}: {x:12.6} {y:12.6}  relative difference {relative:.2e}",
            step + 1
        );
        let allowed = limit.unwrap_or(if step == 0 { FIRST } else { LATER });
        let is_within = relative <= allowed;
        // A NaN is never within.
        if !is_within {
            return Err(format!(
                "step {}: {relative:.2e} is more than {allowed:.0e}",
                step + 1
            ));
        }
        if relative > worst.0 {
            worst = (relative, step + 1);
        }
    }
    println!(
        "the losses agree; worst {:.2e} at step {}",
        worst.0, worst.1
    );
    Ok(())
}

fn totals(run: &Path) -> Result<Vec<f64>, String> {
    let path = run.join("metrics.jsonl");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut totals = vec![];
    for line in text.lines() {
        let record: Value =
            serde_json::from_str(line).map_err(|e| format!("{}: {e}", path.display()))?;
        totals.extend(
            record
                .get("train/loss")
                .map(|v| v.as_f64().unwrap_or(f64::NAN)),
        );
    }
    Ok(totals)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn run_of(folder: &Path, name: &str, totals: &[&str]) -> std::path::PathBuf {
        let path = folder.join(name);
        fs::create_dir(&path).unwrap();
        let lines: String = totals
            .iter()
            .map(|t| format!("{{\"step\":1,\"train/loss\":{t}}}\n"))
            .collect();
        fs::write(path.join("metrics.jsonl"), lines).unwrap();
        path
    }

    #[test]
    fn near_losses_agree_and_far_or_broken_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, totals: &[&str]| run_of(folder.path(), name, totals);
        let base = at("base", &["10.0", "5.0"]);
        assert!(run(&base, &at("near", &["10.001", "5.1"]), None).is_ok());
        assert!(run(&base, &at("limit", &["10.001", "5.1"]), Some("1e-3")).is_err());
        assert!(run(&base, &base, Some("less")).is_err());
        assert!(run(&base, &base, Some("0")).is_ok());
        assert!(run(&base, &at("other", &["10.0", "5.000001"]), Some("0")).is_err());
        assert!(run(&base, &at("first", &["10.1", "5.0"]), None).is_err());
        assert!(run(&base, &at("nan", &["10.0", "null"]), None).is_err());
        assert!(run(&base, &at("short", &["10.0"]), None).is_err());
    }
}
