//! Overrides of a run's configuration that have an effect on its evaluation.

use toml::{Table, Value};

use crate::config::{RunConfig, SourceKind, Sources, check_used};
use crate::error::VlpError;

/// Generated scenes are evaluated on their test split, of `eval.examples` scenes.
const TRAINING_SCENES: [&str; 2] = ["data.scenes.count", "data.scenes.split"];

/// Refuses overrides that the evaluation with `config` does not read: keys set one by one, and other values than those of
/// the run, `trained`.
pub(super) fn check_overrides(
    sources: &Sources,
    trained: &RunConfig,
    config: &RunConfig,
) -> Result<(), VlpError> {
    let mut keys: Vec<String> = sources.set_keys().map(str::to_owned).collect();
    let mut trained = trained.clone();
    if config.data.source != trained.data.source {
        // These belong to the source, so they were dropped with it.
        let data = &mut trained.data;
        (data.validation, data.images, data.karpathy) = (None, None, None);
        data.mix.clear();
    }
    let table = |config: &RunConfig| {
        let table = Table::try_from(config);
        table.map_err(|e| VlpError::Config(e.to_string()))
    };
    changed_keys("", &table(&trained)?, &table(config)?, &mut keys);
    let reader = "this evaluation";
    let used = used_keys(config)?;
    if let Some(key) = keys
        .iter()
        .find(|key| TRAINING_SCENES.contains(&key.as_str()))
    {
        return Err(VlpError::Config(format!(
            "{key}: {reader} does not read it; set eval.examples"
        )));
    }
    check_used(keys.iter().map(String::as_str), &used, reader)
}

/// Whether all of `data.source` is evaluated: it is another one than that of the run, `trained`, and no key selects a part of
/// it or adds other sources.
pub(super) fn evaluates_whole_source(
    sources: &Sources,
    trained: &RunConfig,
    config: &RunConfig,
) -> Result<bool, VlpError> {
    let (data, trained) = (&config.data, &trained.data);
    let selects_part = data.karpathy.is_some()
        || data.validation_fraction != trained.validation_fraction
        || sources
            .set_keys()
            .any(|key| key == "data.validation_fraction");
    let is_other = data.source != trained.source && data.validation.is_none();
    Ok(is_other && data.mix.is_empty() && !selects_part && data.kind()? != SourceKind::Scenes)
}

/// Appends the keys whose values differ.
fn changed_keys(path: &str, old: &Table, new: &Table, keys: &mut Vec<String>) {
    let added = new.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(added) {
        let key = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        match (old.get(name), new.get(name)) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => {
                changed_keys(&key, old, new, keys);
            }
            (old, new) if old != new => keys.push(key),
            _ => {}
        }
    }
}

/// The keys that an evaluation reads.
fn used_keys(config: &RunConfig) -> Result<Vec<&'static str>, VlpError> {
    let (data, eval, objectives) = (&config.data, &config.eval, &config.objectives);
    let mut keys = vec!["seed", "eval.examples"];
    let (has_itm, has_itc) = (objectives.itm.is_some(), objectives.itc.is_some());
    if has_itm || has_itc {
        keys.push("eval.retrieval");
        if eval.retrieval > 0 {
            keys.extend(["eval.retrieval_texts", "eval.folds"]);
        }
        if eval.retrieval > 0 && has_itm && has_itc {
            keys.push("eval.rerank");
        }
    }
    keys.extend([
        "data.source",
        "data.validation",
        "data.batch_size",
        "data.max_text_len",
        "data.texts_per_image",
        "data.all_pairs",
        "data.hide_images",
        "data.pad_multiple",
        "data.eval_resize",
    ]);
    if data.eval_resize.is_none() {
        keys.push("data.resize");
    }
    let mut kinds = vec![data.kind()?];
    match &data.validation {
        Some(source) => kinds.push(SourceKind::parse("data.validation", source)?),
        // A fraction of all training sources is evaluated.
        None if kinds[0] != SourceKind::Scenes => {
            keys.extend(["data.validation_fraction", "data.mix", "data.karpathy"]);
        }
        None => {}
    }
    for key in kinds.iter().flat_map(SourceKind::keys) {
        if !keys.contains(key) {
            keys.push(key);
        }
    }
    Ok(keys)
}
