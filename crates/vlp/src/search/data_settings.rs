//! The settings by which the source of an index is opened, as the index keeps them.

use toml::Table;

use crate::config::{DataConfig, RunConfig, Sources, overlay};
use crate::error::VlpError;

const SOURCE: &str = "data.source";
/// A cache, which decides nothing about the samples.
const CACHE: &str = "data.index";

/// What of `data` decides the samples, as entries `key=value`.
pub(super) fn entries(data: &DataConfig) -> Result<Vec<String>, VlpError> {
    let kind = data.kind()?;
    let table = Table::try_from(data).map_err(|error| VlpError::Config(error.to_string()))?;
    let keys = [SOURCE].into_iter().chain(kind.keys().iter().copied());
    let entries = keys.filter(|&key| key != CACHE).filter_map(|key| {
        let key = key.trim_end_matches('.');
        let value = table.get(key.strip_prefix("data.")?)?;
        Some(format!("{key}={value}"))
    });
    Ok(entries.collect())
}

/// The data settings of a run with those of [`entries`].
pub(super) fn restore(run: &RunConfig, entries: &[String]) -> Result<DataConfig, VlpError> {
    let sources = Sources {
        set: entries.to_vec(),
        ..Sources::default()
    };
    Ok(overlay(run, &sources)?.data)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::{other_source, resolve};

    #[test]
    fn settings_of_a_source_are_restored_from_their_entries() {
        let run = resolve(&Sources::default()).unwrap();
        for (source, set) in [
            (
                "scenes",
                vec!["data.scenes.count=7", "data.scenes.split=test"],
            ),
            ("coco:a \"b\"@val2017", vec!["data.images=2014"]),
            (
                "snli-ve:a.jsonl",
                vec!["data.premise=true", "data.index=cache"],
            ),
        ] {
            let set: Vec<String> = set.into_iter().map(str::to_owned).collect();
            let mut data = other_source(&run, source, &set).unwrap();
            let entries = entries(&data).unwrap();
            data.index = None;
            assert_eq!(restore(&run, &entries).unwrap(), data, "{entries:?}");
        }
    }
}
