//! The configuration of a fine-tuning run: that of the pre-trained run, overridden by the task's values.

use std::path::Path;

use toml::{Table, Value};

use super::resolve::{merge, override_with};
use super::suggest::suggest;
use super::{RunConfig, Sources};
use crate::error::VlpError;

/// Name and TOML text of every task.
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

/// Pattern of the visual dictionary's parameters. They are frozen so that codes keep their meaning.
const DICTIONARY: &str = r"\.dictionary\.";

/// The configuration of `task`, starting from the run in the folder `from` with the configuration `run`: its data, model and
/// training values, only the task's objective (as configured in `run`, if it is there), then the overrides in `sources`.
///
/// # Errors
/// [`VlpError::Config`] for an unknown task or value, or another `from`.
pub fn finetune(
    task: &str,
    run: &RunConfig,
    from: &Path,
    sources: &Sources,
) -> Result<RunConfig, VlpError> {
    let Some((_, text)) = TASKS.iter().find(|(name, _)| *name == task) else {
        let names: Vec<&str> = TASKS.iter().map(|(name, _)| *name).collect();
        let suggestion = suggest(task, &names);
        return Err(VlpError::Config(format!(
            "task \"{task}\" is unknown{suggestion}"
        )));
    };
    let mut table = Table::try_from(run).map_err(|e| VlpError::Config(e.to_string()))?;
    let task_table = text.parse::<Table>();
    let mut task_table = task_table.map_err(|e| VlpError::Config(format!("task {task}: {e}")))?;
    let quick = task_table.remove("quick");
    let mut objectives = Table::new();
    if let (Some(Value::Table(run_objectives)), Some(Value::Table(task_objectives))) =
        (table.remove("objectives"), task_table.remove("objectives"))
    {
        for (name, values) in task_objectives {
            // The head is loaded from the run, so it must be configured as there.
            let run_values = run_objectives.get(&name).cloned();
            objectives.insert(name, run_values.unwrap_or(values));
        }
    }
    merge(&mut table, task_table);
    if run.model.quantizer().is_some() {
        freeze_dictionary(&mut table);
    }
    table.insert("objectives".into(), Value::Table(objectives));
    let path = from.to_string_lossy().into_owned();
    table.insert("from".into(), Value::String(path.clone()));
    table.remove("from_checkpoint");
    // The run's weights are those that it ended with.
    table.remove("weights");
    let config = override_with(table, quick, sources)?;
    match &config.from {
        Some(from) if from == Path::new(&path) => Ok(config),
        _ => Err(VlpError::Config(format!(
            "from: it cannot be set, since a fine-tuning run starts from {path}; remove it"
        ))),
    }
}

/// Adds an optimizer group that freezes the dictionary.
fn freeze_dictionary(table: &mut Table) {
    let groups = table
        .get_mut("train")
        .and_then(|train| train.get_mut("optimizer"))
        .and_then(|optimizer| optimizer.get_mut("groups"))
        .and_then(Value::as_array_mut);
    let is_frozen =
        |group: &Value| group.get("pattern").and_then(Value::as_str) == Some(DICTIONARY);
    if let Some(groups) = groups.filter(|groups| !groups.iter().any(is_frozen)) {
        let mut rule = Table::new();
        rule.insert("rule".into(), Value::String("adamw".into()));
        let mut group = Table::new();
        group.insert("pattern".into(), Value::String(DICTIONARY.into()));
        group.insert("learning_rate".into(), Value::Float(0.0));
        group.insert("weight_decay".into(), Value::Float(0.0));
        group.insert("kind".into(), Value::Table(rule));
        group.insert("frozen_until".into(), Value::Float(1.0));
        groups.push(Value::Table(group));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;

    use super::*;
    use crate::config::resolve;

    #[test]
    fn only_weights_of_the_command_line_are_imported() {
        let sources = |file: Option<&str>| Sources {
            values: file
                .map(|file| ("weights".into(), Value::Array(vec![file.into()])))
                .into_iter()
                .collect(),
            ..Sources::default()
        };
        let run = resolve(&sources(Some("of the run.pth"))).unwrap();
        for file in [None, Some("of the command.pth")] {
            let config = finetune("caption", &run, Path::new("run"), &sources(file)).unwrap();
            let expected: Vec<PathBuf> = file.map(PathBuf::from).into_iter().collect();
            assert_eq!(config.weights, expected);
        }
    }
}
