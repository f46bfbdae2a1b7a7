//! Overriding a preset with a file and single values, and error messages for values that do not fit.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::invalid_value::{describe, is_objective, is_valid};
use super::suggest::suggest;
use super::used_keys::is_within;
use super::{PRESETS, RunConfig, preset_names};
use crate::error::VlpError;

/// Where values come from; later fields override earlier ones.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Name of a preset; the first of [`PRESETS`] if `None`.
    pub preset: Option<String>,
    /// A TOML file with any part of the configuration.
    pub file: Option<PathBuf>,
    /// Apply the preset's `[quick]` values.
    pub quick: bool,
    /// Values by key, such as `data.source`.
    pub values: Vec<(String, Value)>,
    /// `key.path=value` entries, values in TOML or as bare strings; applied after `values`, whose keys they must not set.
    pub set: Vec<String>,
}

impl Sources {
    /// The keys of [`Self::set`].
    pub fn set_keys(&self) -> impl Iterator<Item = &str> {
        let entries = self.set.iter();
        entries.map(|entry| entry.split('=').next().unwrap_or_default().trim())
    }
}

/// The resolved configuration.
///
/// # Errors
/// [`VlpError::Config`] for an unknown preset, key or value, [`VlpError::Io`] for a file that cannot be read.
pub fn resolve(sources: &Sources) -> Result<RunConfig, VlpError> {
    let file = read_file(sources)?;
    let preset_of_file = file.get("preset").and_then(Value::as_str);
    let name = sources.preset.as_deref().or(preset_of_file);
    let name = name.unwrap_or(PRESETS[0].0);
    let Some((_, text)) = PRESETS.iter().find(|(preset, _)| *preset == name) else {
        let suggestion = suggest(name, &preset_names());
        return Err(VlpError::Config(format!(
            "preset \"{name}\" is unknown{suggestion}"
        )));
    };
    let table = text.parse::<Table>();
    let mut table = table.map_err(|e| VlpError::Config(format!("preset {name}: {e}")))?;
    let quick = table.remove("quick");
    table.insert("preset".into(), Value::String(name.into()));
    override_with_file(table, quick, sources, &file)
}

/// The configuration of a run, overridden by `sources`, whose preset is ignored; a file must not name another one.
///
/// # Errors
/// As [`resolve`].
pub fn overlay(config: &RunConfig, sources: &Sources) -> Result<RunConfig, VlpError> {
    let table = Table::try_from(config).map_err(|e| VlpError::Config(e.to_string()))?;
    override_with(table, None, sources)
}

/// The file of `sources`. It is read only once, because it may be a pipe.
fn read_file(sources: &Sources) -> Result<Table, VlpError> {
    let Some(path) = &sources.file else {
        return Ok(Table::new());
    };
    let text = std::fs::read_to_string(path).map_err(VlpError::io(path))?;
    // Some editors begin a UTF-8 file with a byte order mark.
    let table = text.trim_start_matches('\u{feff}').parse::<Table>();
    let invalid = |why: String| VlpError::Config(format!("{}: {why}", path.display()));
    let table = table.map_err(|e| invalid(e.to_string()))?;
    match (table.get("preset"), table.get("quick")) {
        (Some(preset), _) if !preset.is_str() => {
            let names = preset_names().join("\", \"");
            Err(invalid(format!(
                "preset = {preset}: use one of \"{names}\""
            )))
        }
        (_, Some(quick)) if !quick.is_table() => Err(invalid(format!(
            "quick = {quick}: use a table [quick] of keys and values, such as \"train.steps\" = 12"
        ))),
        _ => Ok(table),
    }
}

/// Keys of `data` that belong to `data.source`; they are dropped when another source is set.
const SOURCE_KEYS: [&str; 4] = ["validation", "images", "mix", "karpathy"];

/// Overrides `table` with a file, quick values and single values; its `preset` is kept.
pub(super) fn override_with(
    table: Table,
    quick: Option<Value>,
    sources: &Sources,
) -> Result<RunConfig, VlpError> {
    let file = read_file(sources)?;
    match (file.get("preset"), table.get("preset")) {
        (Some(preset), run_preset) if Some(preset) != run_preset => {
            let path = sources.file.as_deref().unwrap_or(Path::new(""));
            Err(VlpError::Config(format!(
                "{}: preset = {preset}: the values start from those of the run; remove this key",
                path.display()
            )))
        }
        _ => override_with_file(table, quick, sources, &file),
    }
}

fn override_with_file(
    mut table: Table,
    quick: Option<Value>,
    sources: &Sources,
    file: &Table,
) -> Result<RunConfig, VlpError> {
    let source = |table: &Table| table.get("data")?.get("source").cloned();
    // Empty unless `sources` set it.
    let best_by = table
        .get_mut("checkpoint")
        .and_then(|t| t.get_mut("best_by"));
    let default_best_by = best_by.map(|value| std::mem::replace(value, "".into()));
    let apply = |table: &Table| apply(table.clone(), quick.clone(), sources, file.clone());
    let mut overridden = apply(&table)?;
    if source(&overridden) != source(&table) {
        if let Some(Value::Table(data)) = table.get_mut("data") {
            for key in SOURCE_KEYS {
                data.remove(key);
            }
        }
        overridden = apply(&table)?;
    }
    let mut config = typed(overridden, &table)?;
    let checkpoint = &mut config.checkpoint;
    checkpoint.best_by_is_set = !checkpoint.best_by.is_empty();
    if let (false, Some(Value::String(default))) = (checkpoint.best_by_is_set, default_best_by) {
        checkpoint.best_by = default;
    }
    Ok(config)
}

fn apply(
    mut table: Table,
    quick: Option<Value>,
    sources: &Sources,
    mut file: Table,
) -> Result<Table, VlpError> {
    // A copy of a preset may have quick values of its own.
    let quick = file.remove("quick").or(quick);
    let base = table.clone();
    file.remove("preset");
    merge(&mut table, file);
    if let Some(path) = &sources.file {
        // Checked here to name the file in the error.
        typed(table.clone(), &base)
            .map_err(|e| VlpError::Config(format!("{}: {e}", path.display())))?;
    }
    if let (true, Some(Value::Table(quick))) = (sources.quick, quick) {
        for (key, value) in quick {
            set_value(&mut table, &key, value)?;
        }
    }
    for (key, value) in &sources.values {
        set_value(&mut table, key, value.clone())?;
    }
    for entry in &sources.set {
        let invalid = |why: &str| Err(VlpError::Config(format!("--set {entry}: {why}")));
        let Some((key, text)) = entry.split_once('=') else {
            return invalid("write key.path=value");
        };
        if key.split('.').any(|name| name.trim().is_empty()) {
            return invalid("a name of the key is empty; write key.path=value");
        }
        if key.trim() == "preset" {
            return invalid("it only names the preset; start from one with --preset");
        }
        let overlaps = |other: &str| is_within(key.trim(), other) || is_within(other, key.trim());
        let mut values = sources.values.iter();
        if let Some((other, value)) = values.find(|(other, _)| overlaps(other)) {
            return invalid(&format!(
                "another argument has set {other} = {value}; give one of them"
            ));
        }
        // A path may end in white space.
        let text = match key.ends_with(' ') {
            true => text.trim_start_matches(' '),
            false => text,
        };
        let value = parse_value(&table, key.trim(), text)?;
        set_value(&mut table, key.trim(), value)?;
    }
    Ok(table)
}

/// The configuration of a table; `base` is the table before it was overridden.
fn typed(table: Table, base: &Table) -> Result<RunConfig, VlpError> {
    let config = Value::Table(table.clone()).try_into();
    config.map_err(|_: toml::de::Error| VlpError::Config(describe(&table, base)))
}

/// A TOML value; text that is not TOML is a string, as is any text of a key that takes only strings: a folder may be called
/// `2014`.
fn parse_value(table: &Table, key: &str, text: &str) -> Result<Value, VlpError> {
    let string = Value::String(text.into());
    let parsed = format!("v = {text}").parse::<Table>().ok();
    let Some(value) = parsed.and_then(|mut table| table.remove("v")) else {
        return Ok(string);
    };
    if value.is_str() {
        return Ok(value);
    }
    let fits = |value: &Value| -> Result<bool, VlpError> {
        let mut table = table.clone();
        set_value(&mut table, key, value.clone())?;
        Ok(is_valid(&table))
    };
    Ok(match !fits(&value)? && fits(&string)? {
        true => string,
        false => value,
    })
}

pub(super) fn merge(base: &mut Table, overrides: Table) {
    for (key, value) in overrides {
        match (base.get_mut(&key), value) {
            // A table with a tag (`kind`) is replaced: other kinds have other fields.
            (Some(Value::Table(old)), Value::Table(new)) if !new.contains_key("kind") => {
                merge(old, new);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Tables besides those of objectives that may be absent.
const OPTIONAL_TABLES: [&str; 3] = [
    "model.quantizer",
    "objectives.caption.self_critical",
    "data.eval_resize",
];

/// Sets the value at `a.b.c`; `off` or `false` removes a table (switches an objective off).
fn set_value(table: &mut Table, path: &str, value: Value) -> Result<(), VlpError> {
    let (parents, key) = path.rsplit_once('.').unwrap_or(("", path));
    let off = matches!(&value, Value::Boolean(false)) || value.as_str() == Some("off");
    if off && (OPTIONAL_TABLES.contains(&path) || parents == "objectives" && is_objective(key)) {
        let mut names = parents.split('.');
        let parent = names.try_fold(&*table, |table, name| table.get(name)?.as_table());
        if parent.is_none_or(|parent| !parent.contains_key(key)) {
            // It is off already.
            return Ok(());
        }
    }
    let mut inner = table;
    for parent in parents.split('.').filter(|name| !name.is_empty()) {
        let entry = inner.entry(parent);
        inner = match entry.or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(table) => table,
            _ => {
                return Err(VlpError::Config(format!(
                    "{path}: \"{parent}\" is a value, not a table"
                )));
            }
        };
    }
    match inner.get(key) {
        Some(Value::Table(_)) if off => {
            inner.remove(key);
        }
        _ => {
            inner.insert(key.into(), value);
        }
    }
    Ok(())
}
