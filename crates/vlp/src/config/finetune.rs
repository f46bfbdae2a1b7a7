//! The configuration of a fine-tuning run: that of the pre-trained run, overridden by the task's values.

use std::path::Path;

use toml::{Table, Value};
use vlp_train::GroupConfig;

use super::resolve::{merge, override_with};
use super::suggest::suggest;
use super::{CheckpointChoice, RunConfig, Sources};
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
/// Parameter groups that the run froze at its start are trained, and its visual dictionary is frozen, unless `sources` has a
/// group of the same pattern.
///
/// Without `from`, the same model starts where the run itself started, from its `weights` or from random weights, and its
/// dictionary is trained.
///
/// # Errors
/// [`VlpError::Config`] for an unknown task or value, or another `from`.
pub fn finetune(
    task: &str,
    run: &RunConfig,
    from: Option<&Path>,
    sources: &Sources,
) -> Result<RunConfig, VlpError> {
    let Some((_, text)) = TASKS.iter().find(|(name, _)| *name == task) else {
        let names: Vec<&str> = TASKS.iter().map(|(name, _)| *name).collect();
        let suggestion = suggest(task, &names);
        return Err(VlpError::Config(format!(
            "task \"{task}\" is unknown{suggestion}"
        )));
    };
    let mut run = run.clone();
    let groups = &mut run.train.optimizer.groups;
    groups.retain(|group| group.pattern != DICTIONARY);
    for group in groups.iter_mut().filter(|group| group.frozen_until < 1.0) {
        group.frozen_until = 0.0;
    }
    if from.is_some() {
        // The weights that the run ended with replace them.
        run.weights.clear();
    }
    if task != "vqa" {
        run.data.answers = None;
    }
    run.from = from.map(Path::to_owned);
    run.from_checkpoint = CheckpointChoice::default();
    let mut table = Table::try_from(&run).map_err(|e| VlpError::Config(e.to_string()))?;
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
    table.insert("objectives".into(), Value::Table(objectives));
    let mut config = override_with(table, quick, sources)?;
    if config.from != run.from {
        return Err(VlpError::Config(match from {
            Some(from) => format!(
                "from: it cannot be set, since a fine-tuning run starts from {}; remove it",
                from.display()
            ),
            None => {
                "from: it cannot be set, since this run does not start from another one; remove it"
                    .into()
            }
        }));
    }
    if from.is_some() && config.model.quantizer().is_some() {
        freeze_dictionary(&mut config.train.optimizer.groups);
    }
    Ok(config)
}

/// Adds an optimizer group that freezes the dictionary, unless there is one of the same pattern.
fn freeze_dictionary(groups: &mut Vec<GroupConfig>) {
    if groups.iter().all(|group| group.pattern != DICTIONARY) {
        let group = GroupConfig::new(DICTIONARY, 0.0);
        groups.push(group.with_weight_decay(0.0).with_frozen_until(1.0));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;

    use super::*;
    use crate::config::resolve;

    fn preset(name: &str, set: &[&str]) -> RunConfig {
        let sources = Sources {
            preset: Some(name.into()),
            ..overrides(set)
        };
        resolve(&sources).unwrap()
    }

    fn overrides(set: &[&str]) -> Sources {
        Sources {
            set: set.iter().map(|entry| entry.to_string()).collect(),
            ..Sources::default()
        }
    }

    fn vqa(run: &RunConfig, from: Option<&str>, set: &[&str]) -> RunConfig {
        finetune("vqa", run, from.map(Path::new), &overrides(set)).unwrap()
    }

    /// Patterns, and the fraction of the run for which a group is frozen.
    fn groups(config: &RunConfig) -> Vec<(&str, f64)> {
        let groups = config.train.optimizer.groups.iter();
        groups
            .map(|group| (group.pattern.as_str(), group.frozen_until))
            .collect()
    }

    #[test]
    fn file_of_answers_is_kept_for_questions_alone() {
        let run = preset("e2e-vlp-tiny", &["data.answers=answers.json"]);
        for (task, is_kept) in [("vqa", true), ("nlvr2", false)] {
            let config = finetune(task, &run, None, &overrides(&[])).unwrap();
            assert_eq!(config.data.answers.is_some(), is_kept, "{task}");
        }
    }

    #[test]
    fn weights_of_the_run_are_imported_only_from_scratch() {
        let sources = |file: Option<&str>| Sources {
            values: file
                .map(|file| ("weights".into(), Value::Array(vec![file.into()])))
                .into_iter()
                .collect(),
            ..Sources::default()
        };
        let run = resolve(&sources(Some("of the run.pth"))).unwrap();
        for (from, file, expected) in [
            (Some("run"), None, None),
            (Some("run"), Some("other.pth"), Some("other.pth")),
            (None, None, Some("of the run.pth")),
            (None, Some("other.pth"), Some("other.pth")),
        ] {
            let config = finetune("caption", &run, from.map(Path::new), &sources(file)).unwrap();
            let expected: Vec<PathBuf> = expected.map(PathBuf::from).into_iter().collect();
            assert_eq!(config.weights, expected);
            assert_eq!(config.from, from.map(PathBuf::from));
        }
        assert!(vqa(&run, None, &["weights=[]"]).weights.is_empty());
    }

    #[test]
    fn dictionary_is_frozen_if_there_is_one_from_a_run() {
        let run = preset("soho-tiny", &[]);
        let frozen = vec![(DICTIONARY, 1.0)];
        let tuned = vqa(&run, Some("run"), &[]);
        assert_eq!(groups(&tuned), frozen);
        // A run that has the group already.
        for run in [&run, &tuned] {
            assert_eq!(groups(&vqa(run, Some("run"), &[])), frozen);
            let other = ["train.optimizer.groups=[]"];
            assert_eq!(groups(&vqa(run, Some("run"), &other)), frozen);
            let config = vqa(run, Some("run"), &["model.quantizer=off"]);
            assert_eq!(groups(&config), []);
            assert_eq!(groups(&vqa(run, None, &[])), []);
        }
        let trained = r#"train.optimizer.groups=[{ pattern = '\.dictionary\.', learning_rate = 0.0, weight_decay = 0.0, kind = { rule = "adamw" } }]"#;
        let config = vqa(&run, Some("run"), &[trained]);
        assert_eq!(groups(&config), [(DICTIONARY, 0.0)]);
    }

    #[test]
    fn groups_that_the_run_froze_at_its_start_are_trained() {
        let run = preset("soho-paper", &[]);
        let backbone = r"^model\.backbone\.";
        assert_eq!(groups(&run), [(backbone, 0.25)]);
        let expected = [(backbone, 0.0), (DICTIONARY, 1.0)];
        assert_eq!(groups(&vqa(&run, Some("run"), &[])), expected);
        assert_eq!(groups(&vqa(&run, None, &[])), expected[..1]);
        // Frozen throughout.
        let group = format!(
            r#"train.optimizer.groups=[{{ pattern = '{backbone}', learning_rate = 0.0, weight_decay = 0.0, kind = {{ rule = "adamw" }}, frozen_until = 1.0 }}]"#
        );
        let run = preset("soho-paper", &[&group]);
        let expected = [(backbone, 1.0), (DICTIONARY, 1.0)];
        assert_eq!(groups(&vqa(&run, Some("run"), &[])), expected);
    }
}
