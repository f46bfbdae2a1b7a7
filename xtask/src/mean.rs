//! Mean and standard deviation over the seeds of a folder of runs, as a Markdown table.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::results::replace;

/// Metrics of every arm of one subject, by name and arm, a value for each seed.
type Metrics = BTreeMap<String, BTreeMap<String, Vec<f64>>>;

/// Prints the table of the runs `SUBJECT-ARM-SEED` (or `ARM-SEED`) in `folder`, or puts it between the result markers of
/// `page`.
pub(crate) fn run(folder: &Path, page: Option<&Path>) -> Result<(), String> {
    let mut subjects: BTreeMap<String, Metrics> = BTreeMap::new();
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for entry in entries {
        let path = entry
            .map_err(|e| format!("{}: {e}", folder.display()))?
            .path();
        let file = path.join("results.json");
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Some((arm, _seed)) = name.rsplit_once('-').filter(|_| file.is_file()) else {
            continue;
        };
        let (subject, arm) = arm.rsplit_once('-').unwrap_or(("", arm));
        let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let results: Value =
            serde_json::from_str(&text).map_err(|e| format!("{}: {e}", file.display()))?;
        let rows = results.get("trained").and_then(Value::as_array);
        for row in rows.into_iter().flatten() {
            if let (Some(metric), Some(value)) = (
                row.get("name").and_then(Value::as_str),
                row.get("value").and_then(Value::as_f64),
            ) {
                let metrics = subjects.entry(subject.into()).or_default();
                let arms = metrics.entry(metric.into()).or_default();
                arms.entry(arm.into()).or_default().push(value);
            }
        }
    }
    if subjects.is_empty() {
        return Err(format!(
            "{}: no finished run called ARM-SEED or SUBJECT-ARM-SEED",
            folder.display()
        ));
    }
    let text = table(&subjects);
    let Some(page) = page else {
        println!("{text}");
        return Ok(());
    };
    let old = fs::read_to_string(page).map_err(|e| format!("{}: {e}", page.display()))?;
    let new = replace(&old, &text).ok_or_else(|| format!("{}: no markers", page.display()))?;
    fs::write(page, new).map_err(|e| format!("{}: {e}", page.display()))
}

fn table(subjects: &BTreeMap<String, Metrics>) -> String {
    let mut arms: Vec<&String> = subjects
        .values()
        .flat_map(BTreeMap::values)
        .flat_map(BTreeMap::keys)
        .collect();
    arms.sort();
    arms.dedup();
    let mut text = String::from("| metric |");
    arms.iter().for_each(|arm| text += &format!(" {arm} |"));
    text += "\n|---|";
    arms.iter().for_each(|_| text += "---:|");
    text.push('\n');
    for (subject, metrics) in subjects {
        for (metric, values) in metrics {
            let subject = if subject.is_empty() {
                ""
            } else {
                &format!("{subject}: ")
            };
            text += &format!("| {subject}{metric} |");
            for arm in &arms {
                let cell = cell(values.get(*arm).map_or(&[][..], |all| all));
                text += &format!(" {cell} |");
            }
            text.push('\n');
        }
    }
    text
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation of a sample; 0 of a single value.
pub(crate) fn deviation(values: &[f64]) -> f64 {
    let center = mean(values);
    let squares: f64 = values.iter().map(|value| (value - center).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0).max(1.0)).sqrt()
}

/// `mean ± standard deviation (seeds)`; a dash if there are no values.
pub(crate) fn cell(values: &[f64]) -> String {
    match values.len() {
        0 => "–".into(),
        count => format!("{:.3} ± {:.3} ({count})", mean(values), deviation(values)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        assert_eq!(cell(&[1.0, 2.0, 3.0]), "2.000 ± 1.000 (3)");
        assert_eq!(cell(&[0.5]), "0.500 ± 0.000 (1)");
        assert_eq!(cell(&[]), "–");
    }
}
