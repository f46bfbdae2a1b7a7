//! A case of a page of `docs/numbers`: the records of all sides, and the numbers computed from them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::times::{Times, seconds};
use super::{COMPILED, OURS, THEIRS};

/// Wall times of one side, and its memory.
#[derive(Debug, Clone, PartialEq)]
struct Side {
    times: Times,
    /// Peak resident memory in bytes, or the GPU's.
    peak: f64,
    /// Largest fraction of the cores that other processes took meanwhile, in percent.
    others: f64,
    losses: BTreeMap<String, f64>,
}

/// A case on all sides.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    case: String,
    ours: Side,
    theirs: Side,
    compiled: Option<Side>,
    /// Largest relative difference of a loss, and its name.
    worst: (f64, String),
    /// Up to which difference losses agree.
    tolerance: f64,
}

impl Row {
    /// The row of the records of one case and run.
    pub(super) fn of(case: &str, records: &[Value]) -> Result<Self, String> {
        let side = |name: &str| Side::of(records.iter().filter(|record| record["side"] == name));
        let missing = |name: &str| format!("{case}: no times of {name}");
        let ours = side(OURS).ok_or_else(|| missing(OURS))?;
        let theirs = side(THEIRS).ok_or_else(|| missing(THEIRS))?;
        let worst = worst(&ours.losses, &theirs.losses)
            .map_err(|name| format!("{case}: only one side has the loss {name:?}"))?;
        let tolerance = records
            .iter()
            .find_map(|record| record["tolerance"].as_f64());
        Ok(Self {
            case: case.to_owned(),
            ours,
            theirs,
            compiled: side(COMPILED),
            worst,
            tolerance: tolerance.ok_or_else(|| format!("{case}: a record without `tolerance`"))?,
        })
    }

    /// Our time over PyTorch's, by the least of each.
    fn ratio(&self) -> f64 {
        self.ours.times.least / self.theirs.times.least
    }

    /// Our time over compiled PyTorch's.
    fn compiled_ratio(&self) -> Option<f64> {
        self.compiled
            .as_ref()
            .map(|side| self.ours.times.least / side.times.least)
    }

    /// Our time over that of PyTorch's faster side.
    pub(super) fn best_ratio(&self) -> f64 {
        self.compiled_ratio()
            .map_or(self.ratio(), |ratio| ratio.max(self.ratio()))
    }

    fn agrees(&self) -> bool {
        // A NaN is never within.
        self.worst.0 <= self.tolerance
    }

    pub(super) fn agreed(&self) -> Result<(), String> {
        match self.agrees() {
            true => Ok(()),
            false => Err(format!(
                "loss {:?} differs by {:.1e}: {} here, {} there",
                self.worst.1,
                self.worst.0,
                self.ours.losses.get(&self.worst.1).unwrap_or(&f64::NAN),
                self.theirs.losses.get(&self.worst.1).unwrap_or(&f64::NAN),
            )),
        }
    }

    /// One line for the terminal.
    pub(super) fn summary(&self) -> String {
        let compiled = match (&self.compiled, self.compiled_ratio()) {
            (Some(side), Some(ratio)) => {
                format!(
                    ", compiled {:>8} ms, ratio {ratio:.2}",
                    milliseconds(side.times.least)
                )
            }
            _ => String::new(),
        };
        format!(
            "{:<18} {OURS} {:>8} ms, {THEIRS} {:>8} ms, ratio {:.2}{compiled}, largest loss difference {:.1e} ({})",
            self.case,
            milliseconds(self.ours.times.least),
            milliseconds(self.theirs.times.least),
            self.ratio(),
            self.worst.0,
            self.worst.1
        )
    }

    pub(super) fn line(&self) -> String {
        let time = |side: &Side| {
            format!(
                "{} ({})",
                milliseconds(side.times.least),
                milliseconds(side.times.median)
            )
        };
        let mark = if self.agrees() { "" } else { "**" };
        let compiled = self.compiled.as_ref();
        let others = compiled.map_or(0.0, |side| side.others);
        format!(
            "| `{}` | {} | {} | {} | {:.2} | {} | {:.0} | {:.0} | {mark}{:.1e}{mark} | {:.0} |\n",
            self.case,
            time(&self.ours),
            time(&self.theirs),
            compiled.map_or("–".into(), time),
            self.ratio(),
            self.compiled_ratio()
                .map_or("–".into(), |ratio| format!("{ratio:.2}")),
            self.ours.peak / 1e6,
            self.theirs.peak / 1e6,
            self.worst.0,
            self.ours.others.max(self.theirs.others).max(others)
        )
    }
}

impl Side {
    fn of<'a>(records: impl Iterator<Item = &'a Value>) -> Option<Self> {
        let (mut times, mut peak, mut losses) = (vec![], 0.0_f64, BTreeMap::new());
        let mut others = 0.0_f64;
        for record in records {
            times.extend(seconds(record));
            let held = record["gpu_memory"].as_f64();
            peak = peak.max(held.or(record["peak_rss"].as_f64())?);
            others = others.max(100.0 * record["others"].as_f64().unwrap_or(0.0));
            losses = record["losses"]
                .as_object()?
                .iter()
                .map(|(name, value)| (name.clone(), value.as_f64().unwrap_or(f64::NAN)))
                .collect();
        }
        Some(Self {
            times: Times::of(times)?,
            peak,
            others,
            losses,
        })
    }
}

/// The largest relative difference; a name that one side lacks is an error.
fn worst(a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>) -> Result<(f64, String), String> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let mut worst = (0.0, String::new());
    for name in names {
        let (Some(x), Some(y)) = (a.get(name), b.get(name)) else {
            return Err(name.clone());
        };
        let difference = match x == y {
            true => 0.0,
            false => (x - y).abs() / x.abs().max(y.abs()),
        };
        if difference.is_nan() || worst.1.is_empty() || difference > worst.0 {
            worst = (difference, name.clone());
        }
        if difference.is_nan() {
            break;
        }
    }
    Ok(worst)
}

/// Three digits, or all before the point.
fn milliseconds(seconds: f64) -> String {
    let ms = seconds * 1e3;
    let digits = match ms {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{ms:.digits$}")
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::super::{OURS, THEIRS};
    use super::*;

    pub(in crate::peer) fn record(
        case: &str,
        side: &str,
        run: &str,
        seconds: &[f64],
        losses: Value,
    ) -> Value {
        let version = if side == OURS { "vlp" } else { "torch" };
        json!({"case": case, "side": side, "run": run, "seconds": seconds, "losses": losses, "peak_rss": 250_000_000,
            "threads": 2, "tolerance": 1e-3, "others": 0.12, "machine": "a CPU", "versions": {version: "1.0"}, "command": "cargo xtask peer jpeg"})
    }

    #[test]
    fn losses_must_agree_and_be_the_same_ones() {
        let row = |ours, theirs| {
            let records = [
                record("x", OURS, "r", &[1.0], ours),
                record("x", THEIRS, "r", &[1.0], theirs),
            ];
            Row::of("x", &records)
        };
        assert!(
            row(json!({"a": 100.0}), json!({"a": 100.09}))
                .unwrap()
                .agreed()
                .is_ok()
        );
        let far = row(json!({"a": 1.0, "b": -2.0}), json!({"a": 1.0, "b": 2.0})).unwrap();
        assert_eq!(
            far.agreed().unwrap_err(),
            "loss \"b\" differs by 2.0e0: -2 here, 2 there"
        );
        let nan = row(json!({"a": null, "b": 2.0}), json!({"a": 1.0, "b": 2.0})).unwrap();
        assert!(nan.agreed().is_err());
        let both = row(json!({"a": null}), json!({"a": null})).unwrap();
        assert!(both.agreed().is_err());
        let other = row(json!({"a": 1.0}), json!({"b": 1.0})).unwrap_err();
        assert_eq!(other, "x: only one side has the loss \"a\"");
    }
}
