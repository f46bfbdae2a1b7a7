//! Laying a file and single values over a preset, and saying what is wrong with them.

use std::path::PathBuf;

use toml::{Table, Value};

use super::{PRESETS, RunConfig, preset_names};
use crate::error::VlpError;

/// Where values come from, each over the last.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Name of a preset; the first one where left out.
    pub preset: Option<String>,
    /// A TOML file with any part of the configuration.
    pub file: Option<PathBuf>,
    /// Lay the preset's `[quick]` values over it.
    pub quick: bool,
    /// `key.path=value` each, value in TOML (or a bare string).
    pub set: Vec<String>,
}

/// The resolved configuration.
pub fn resolve(sources: &Sources) -> Result<RunConfig, VlpError> {
    let file = file(sources)?;
    let named = file
        .get("preset")
        .and_then(Value::as_str)
        .map(str::to_string);
    let name = sources
        .preset
        .clone()
        .or(named)
        .unwrap_or_else(|| PRESETS[0].0.to_string());
    let Some((_, text)) = PRESETS.iter().find(|(known, _)| *known == name) else {
        let names = preset_names();
        return Err(VlpError::Config(format!(
            "preset \"{name}\" is unknown{}",
            suggest(&name, &names)
        )));
    };
    let parsed = text.parse::<Table>();
    let mut table = parsed.map_err(|e| VlpError::Config(format!("preset {name}: {e}")))?;
    let quick = table.remove("quick");
    table.insert("preset".into(), Value::String(name));
    lay_over(table, quick, sources)
}

fn file(sources: &Sources) -> Result<Table, VlpError> {
    let Some(path) = &sources.file else {
        return Ok(Table::new());
    };
    let text = std::fs::read_to_string(path).map_err(VlpError::io(path))?;
    let table = text.parse::<Table>();
    table.map_err(|e| VlpError::Config(format!("{}: {e}", path.display())))
}

/// Values of `data` that tell of one source, and are left behind where another takes its place.
const OF_THE_SOURCE: [&str; 4] = ["heldout", "images", "mix", "karpathy"];

/// Lays a file, quick values and single values over `table`, whose `preset` stays.
pub(super) fn lay_over(
    mut table: Table,
    quick: Option<Value>,
    sources: &Sources,
) -> Result<RunConfig, VlpError> {
    let source = |table: &Table| table.get("data")?.get("source").cloned();
    let whole = laid(table.clone(), quick.clone(), sources)?;
    if source(&whole) == source(&table) {
        return typed(whole);
    }
    if let Some(Value::Table(data)) = table.get_mut("data") {
        for key in OF_THE_SOURCE {
            data.remove(key);
        }
    }
    typed(laid(table, quick, sources)?)
}

fn laid(mut table: Table, quick: Option<Value>, sources: &Sources) -> Result<Table, VlpError> {
    let mut file = file(sources)?;
    // A copy of a preset may have quick values of its own.
    let quick = file.remove("quick").or(quick);
    file.remove("preset");
    merge(&mut table, file);
    if let Some(path) = &sources.file {
        // A file that is wrong by itself is named.
        typed(table.clone()).map_err(|e| VlpError::Config(format!("{}: {e}", path.display())))?;
    }
    if let (true, Some(Value::Table(quick))) = (sources.quick, quick) {
        for (key, value) in quick {
            put(&mut table, &key, value)?;
        }
    }
    for entry in &sources.set {
        let Some((key, text)) = entry.split_once('=') else {
            return Err(VlpError::Config(format!(
                "--set {entry}: write key.path=value"
            )));
        };
        put(&mut table, key.trim(), value(text.trim()))?;
    }
    Ok(table)
}

/// A run's configuration with `sources` laid over; their preset is not read.
pub fn overlay(config: &RunConfig, sources: &Sources) -> Result<RunConfig, VlpError> {
    let table = Table::try_from(config).map_err(|e| VlpError::Config(e.to_string()))?;
    lay_over(table, None, sources)
}

fn typed(table: Table) -> Result<RunConfig, VlpError> {
    Value::Table(table)
        .try_into()
        .map_err(|e: toml::de::Error| VlpError::Config(explain(&e.to_string())))
}

/// A value as TOML reads it; what TOML cannot read is a string.
fn value(text: &str) -> Value {
    let parsed = format!("v = {text}").parse::<Table>().ok();
    parsed
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| Value::String(text.into()))
}

pub(super) fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            // Tables with a tag (`kind`) are whole values: another kind has other fields.
            (Some(Value::Table(old)), Value::Table(new)) if !new.contains_key("kind") => {
                merge(old, new)
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Puts a value at `a.b.c`; a value `off` or `false` at a table removes it (switches an objective off).
fn put(table: &mut Table, path: &str, value: Value) -> Result<(), VlpError> {
    let mut at = table;
    let mut keys = path.split('.').peekable();
    while let Some(key) = keys.next() {
        if keys.peek().is_none() {
            let off = matches!(&value, Value::Boolean(false)) || value.as_str() == Some("off");
            if off && matches!(at.get(key), Some(Value::Table(_))) {
                at.remove(key);
            } else {
                at.insert(key.into(), value);
            }
            return Ok(());
        }
        at = match at.entry(key).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(inner) => inner,
            _ => {
                return Err(VlpError::Config(format!(
                    "{path}: \"{key}\" holds a value, not a table of values"
                )));
            }
        };
    }
    Ok(())
}

/// Adds the nearest known name to serde's "unknown field" message.
fn explain(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((unknown, known))
            if message.contains("unknown field") || message.contains("unknown variant") =>
        {
            let what = if message.contains("unknown field") {
                "key"
            } else {
                "value"
            };
            let place = message
                .lines()
                .find_map(|l| l.trim().strip_prefix("in `"))
                .map(|p| p.trim_end_matches('`'));
            let known: Vec<&str> = known
                .iter()
                .copied()
                .filter(|k| Some(*k) != place)
                .collect();
            let place = place.map(|p| format!(" in [{p}]")).unwrap_or_default();
            format!(
                "unknown {what} \"{unknown}\"{place}{}",
                suggest(unknown, &known)
            )
        }
        // serde says what is wrong on one line and where on the next.
        _ => match message.trim().rsplit_once("\nin `") {
            Some((what, place)) => format!("{}: {what}", place.trim_end_matches('`')),
            None => message.trim().to_string(),
        },
    }
}

/// `; did you mean "x"? Known: ...`.
pub(super) fn suggest(name: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
    let guess = near.filter(|n| strsim::jaro_winkler(name, n) > 0.7);
    let guess = guess
        .map(|n| format!("; did you mean \"{n}\"?"))
        .unwrap_or_default();
    format!("{guess} Known: {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn set(entries: &[&str]) -> Result<RunConfig, VlpError> {
        resolve(&Sources {
            set: entries.iter().map(|s| s.to_string()).collect(),
            ..Sources::default()
        })
    }

    #[test]
    fn every_preset_resolves_and_survives_a_round_trip() {
        for name in preset_names() {
            for quick in [false, true] {
                let config = resolve(&Sources {
                    preset: Some(name.into()),
                    quick,
                    ..Sources::default()
                })
                .unwrap();
                assert_eq!(config.preset, name);
                let text = toml::to_string(&config).unwrap();
                let again: RunConfig = toml::from_str(&text).unwrap();
                assert_eq!(again, config, "{name}");
                assert_eq!(again.fingerprint().unwrap(), config.fingerprint().unwrap());
            }
        }
    }

    #[test]
    fn later_values_win_and_objectives_switch_off() {
        let config = set(&[
            "train.steps=7",
            "data.source=coco:/some/where",
            "objectives.mlm=off",
        ])
        .unwrap();
        assert_eq!(
            (config.train.steps, config.data.source.as_str()),
            (7, "coco:/some/where")
        );
        assert!(config.objectives.mlm.is_none() && config.objectives.itm.is_some());
    }

    #[test]
    fn unknown_names_get_the_nearest_one() {
        for (entry, part) in [
            ("trian=7", "did you mean \"train\"?"),
            ("train.stepz=7", "did you mean \"steps\"?"),
            (
                "objectives.detection.num_querys=7",
                "did you mean \"num_queries\"?",
            ),
            ("model.backbone.norm=\"forzen\"", "did you mean \"frozen\"?"),
        ] {
            let message = set(&[entry]).unwrap_err().to_string();
            assert!(message.contains(part), "{entry}: {message}");
        }
        let preset = Sources {
            preset: Some("e2e-vlp-r5".into()),
            ..Sources::default()
        };
        assert!(
            resolve(&preset)
                .unwrap_err()
                .to_string()
                .contains("\"e2e-vlp-r50\"?")
        );
    }

    #[test]
    fn another_source_leaves_behind_what_told_of_the_first() {
        let run = set(&[
            "data.source=karpathy:a.json",
            "data.heldout=karpathy-test:a.json",
            "data.images=pictures",
        ])
        .unwrap();
        let over = |entries: &[&str]| {
            let set = entries.iter().map(|s| s.to_string()).collect();
            let sources = Sources {
                set,
                ..Sources::default()
            };
            overlay(&run, &sources).unwrap().data
        };
        let other = over(&["data.source=vqa:b/train2014"]);
        assert_eq!((other.heldout, other.images), (None, None));
        let both = over(&["data.source=json:b.json", "data.images=elsewhere"]);
        assert_eq!(
            (both.heldout, both.images),
            (None, Some("elsewhere".into()))
        );
        for same in [
            over(&["train.steps=3"]),
            over(&["data.source=karpathy:a.json"]),
        ] {
            assert_eq!(same, run.data);
        }
    }
}
