//! The configuration of a downstream run: that of the run it starts from, with a task's values laid over.

use std::path::Path;

use toml::{Table, Value};

use super::resolve::{lay_over, merge, suggest};
use super::{RunConfig, Sources};
use crate::error::VlpError;

/// (name, TOML text) of every task.
pub const TASKS: [(&str, &str); 6] = [
    ("vqa", include_str!("../../presets/tasks/vqa.toml")),
    ("nlvr2", include_str!("../../presets/tasks/nlvr2.toml")),
    ("snli-ve", include_str!("../../presets/tasks/snli-ve.toml")),
    (
        "retrieval",
        include_str!("../../presets/tasks/retrieval.toml"),
    ),
    ("caption", include_str!("../../presets/tasks/caption.toml")),
    (
        "detection",
        include_str!("../../presets/tasks/detection.toml"),
    ),
];

/// A visual dictionary stands still while a task is trained: its codes keep the meaning that pre-training gave them.
const STILL: &str = r"\.dictionary\.";

/// The configuration of `task` on the weights of the run at `from`: its data, model and training values, the task's
/// objective alone (as that run had it, if it did), then `sources`.
///
/// # Errors
/// [`VlpError::Config`] for an unknown task or value, [`VlpError::RunFolder`] where `from` is no run.
pub fn finetune(task: &str, from: &Path, sources: &Sources) -> Result<RunConfig, VlpError> {
    let names: Vec<&str> = TASKS.iter().map(|(name, _)| *name).collect();
    let Some((_, text)) = TASKS.iter().find(|(name, _)| *name == task) else {
        return Err(VlpError::Config(format!(
            "task \"{task}\" is unknown{}",
            suggest(task, &names)
        )));
    };
    let run = crate::portable::run_config(from)?;
    let encoded = Table::try_from(&run).map_err(|e| VlpError::Config(e.to_string()))?;
    let mut table = encoded;
    let parsed = text.parse::<Table>();
    let mut over = parsed.map_err(|e| VlpError::Config(format!("task {task}: {e}")))?;
    let quick = over.remove("quick");
    let mut objectives = Table::new();
    if let (Some(Value::Table(own)), Some(Value::Table(wanted))) =
        (table.remove("objectives"), over.remove("objectives"))
    {
        for (name, values) in wanted {
            // As the run trained it: its head is taken over.
            let known = own.get(&name).cloned();
            objectives.insert(name, known.unwrap_or(values));
        }
    }
    merge(&mut table, over);
    if run.model.quantiser().is_some() {
        hold_dictionary(&mut table);
    }
    table.insert("objectives".into(), Value::Table(objectives));
    let path = from.to_string_lossy().into_owned();
    table.insert("from".into(), Value::String(path));
    lay_over(table, quick, sources)
}

/// Adds the group that holds the dictionary.
fn hold_dictionary(table: &mut Table) {
    let groups = table
        .get_mut("train")
        .and_then(|train| train.get_mut("optimizer"))
        .and_then(|optimizer| optimizer.get_mut("groups"))
        .and_then(Value::as_array_mut);
    let held = |group: &Value| group.get("pattern").and_then(Value::as_str) == Some(STILL);
    if let Some(groups) = groups.filter(|groups| !groups.iter().any(held)) {
        let mut group = Table::new();
        let mut rule = Table::new();
        rule.insert("rule".into(), Value::String("adamw".into()));
        group.insert("pattern".into(), Value::String(STILL.into()));
        group.insert("learning_rate".into(), Value::Float(0.0));
        group.insert("weight_decay".into(), Value::Float(0.0));
        group.insert("kind".into(), Value::Table(rule));
        group.insert("frozen_until".into(), Value::Float(1.0));
        groups.push(Value::Table(group));
    }
}
