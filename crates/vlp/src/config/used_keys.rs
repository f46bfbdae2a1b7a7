//! Keys that a command reads. Setting another one would have no effect.

use super::{RunConfig, SourceKind, Sources};
use crate::error::VlpError;

/// Keys that only some kinds of sources read. Sizes of generated scenes are not among them: they may be kept for another
/// source.
const KEYS_OF_SOURCES: [&str; 6] = [
    "data.task",
    "data.images",
    "data.index",
    "data.premise",
    "data.duplicate_iou",
    KARPATHY,
];
const KARPATHY: &str = "data.karpathy";

/// Refuses a key of `sources.set` that none of the sources of `config` reads when a model is trained.
///
/// # Errors
/// As [`check_used`], and [`VlpError::Config`] for an unknown kind of source.
pub fn check_source_keys(sources: &Sources, config: &RunConfig) -> Result<(), VlpError> {
    let data = &config.data;
    let mut kinds = vec![data.kind()?];
    if let Some(validation) = &data.validation {
        kinds.push(SourceKind::parse("data.validation", validation)?);
    }
    for mix in &data.mix {
        kinds.push(SourceKind::parse("data.mix.source", &mix.source)?);
    }
    let mut used = vec![];
    for kind in &kinds {
        let karpathy = (*kind != SourceKind::Scenes).then_some(KARPATHY);
        for key in kind.keys().iter().copied().chain(karpathy) {
            if !used.contains(&key) {
                used.push(key);
            }
        }
    }
    let keys = sources.set_keys();
    let keys = keys.filter(|key| KEYS_OF_SOURCES.contains(key));
    let reader = match kinds.len() {
        1 => format!("data.source = \"{}\"", data.source),
        _ => "this set of data sources".into(),
    };
    check_used(keys, &used, &reader)
}

/// Whether `key` is `other`, which may end in a dot, or below it.
pub(super) fn is_within(key: &str, other: &str) -> bool {
    let rest = key.strip_prefix(other.trim_end_matches('.'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Refuses the first of `keys` that is neither one of `used` nor below one. Tables of `used` may end in a dot.
///
/// # Errors
/// [`VlpError::Config`] with the key and those that are used; `reader` names the command that reads them.
pub fn check_used<'a>(
    mut keys: impl Iterator<Item = &'a str>,
    used: &[&str],
    reader: &str,
) -> Result<(), VlpError> {
    let is_used = |key: &str| used.iter().any(|used| is_within(key, used));
    match keys.find(|key| !is_used(key)) {
        None => Ok(()),
        Some(key) => Err(VlpError::Config(format!(
            "{key}: {reader} does not read it; it reads {}",
            used.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::resolve;

    #[test]
    fn keys_of_other_kinds_of_sources_are_refused() {
        let check = |set: &[&str]| {
            let set = set.iter().map(|entry| (*entry).to_owned()).collect();
            let sources = Sources {
                set,
                ..Sources::default()
            };
            check_source_keys(&sources, &resolve(&sources).unwrap())
        };
        for entry in [
            "data.images=x",
            "data.index=x",
            "data.premise=true",
            "data.duplicate_iou=0.5",
            "data.karpathy=x.json",
        ] {
            let line = check(&[entry]).unwrap_err().to_string();
            let (key, _) = entry.split_once('=').unwrap();
            let reason = format!("{key}: data.source = \"scenes\" does not read it; it reads ");
            assert!(line.starts_with(&reason), "{line}");
        }
        let line = check(&["data.source=coco:x", "data.task=vqa"]);
        assert!(line.unwrap_err().to_string().starts_with("data.task: "));
        for set in [
            &["data.task=vqa", "data.scenes.count=3"][..],
            &[
                "data.source=snli-ve:x",
                "data.premise=true",
                "data.images=y",
            ],
            &[
                "data.source=coco:x",
                "data.karpathy=y",
                "data.scenes.count=3",
            ],
            &["data.mix=[{source=\"coco:x\"}]", "data.images=y"],
            &["data.validation=coco:x", "data.index=y"],
            &["data.mix=[{source=\"genome:x\"}]", "data.duplicate_iou=2"],
            // Read whatever the source is.
            &["data.batch_size=3", "data.validation_fraction=0.5"],
        ] {
            check(set).unwrap();
        }
    }
}
