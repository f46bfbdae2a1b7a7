//! Writes the validation metrics of a run into a page.

use std::fs;
use std::path::Path;

use serde_json::Value;

const OPEN: &str = "<!-- results -->";
const CLOSE: &str = "<!-- /results -->";

/// Replaces the text between the first markers of `page` with the table of `run/results.json`.
pub(crate) fn run(run: &Path, page: &Path) -> Result<(), String> {
    let path = run.join("results.json");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let results: Value =
        serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let table =
        table(&results).ok_or_else(|| format!("{}: not the results of a run", path.display()))?;
    let shown = page.display();
    let old = fs::read_to_string(page).map_err(|e| format!("{shown}: {e}"))?;
    let new = replace(&old, &table).ok_or_else(|| format!("{shown}: no {OPEN} ... {CLOSE}"))?;
    fs::write(page, new).map_err(|e| format!("{shown}: {e}"))
}

pub(crate) fn replace(old: &str, table: &str) -> Option<String> {
    let from = old.find(OPEN)? + OPEN.len();
    let to = old.find(CLOSE)?;
    Some(format!("{}\n{table}{}", old.get(..from)?, old.get(to..)?))
}

fn table(results: &Value) -> Option<String> {
    let list = |key: &str| -> Option<Vec<(String, Option<f64>)>> {
        let rows = results.get(key)?.as_array()?.iter();
        rows.map(|row| {
            Some((
                row.get("name")?.as_str()?.to_owned(),
                row.get("value")?.as_f64(),
            ))
        })
        .collect()
    };
    let (before, after) = (list("initial")?, list("trained")?);
    let show = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{:.3}", v + 0.0));
    let mut text = format!(
        "| {} validation scenes | initial | after {} steps, {:.1} min |\n|---|---:|---:|\n",
        results.get("examples")?.as_u64()?,
        results.get("step")?.as_u64()?,
        results.get("seconds")?.as_f64()? / 60.0
    );
    for (name, value) in before {
        let trained = after
            .iter()
            .find(|(other, _)| *other == name)
            .and_then(|(_, v)| *v);
        text += &format!("| {name} | {} | {} |\n", show(value), show(trained));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_table_replaces_what_stood_between_the_markers() {
        let scores = |ap: f64, cider: Option<f64>| serde_json::json!([{"name": "AP", "value": ap}, {"name": "CIDEr", "value": cider}]);
        let results = serde_json::json!({
            "initial": scores(0.1, None), "trained": scores(0.5, Some(1.25)), "step": 10, "seconds": 90.0, "examples": 4
        });
        let table = table(&results).unwrap();
        let new = replace("a\n<!-- results -->\nold\n<!-- /results -->\nb", &table).unwrap();
        assert!(
            new.contains("| AP | 0.100 | 0.500 |\n| CIDEr | - | 1.250 |\n<!-- /results -->\nb"),
            "{new}"
        );
        assert!(!new.contains("old"));
        assert!(table.contains("after 10 steps, 1.5 min"));
    }
}
