//! The settings by which the source of an index is opened.

use toml::{Table, Value};

use crate::config::{DataConfig, RunConfig, SourceKind, Sources, check_used, overlay};
use crate::error::VlpError;

const SOURCE: &str = "data.source";
/// A cache, which decides nothing about the samples.
const CACHE: &str = "data.index";

/// The data settings of a run, with another source and with `set`, entries `key=value` of keys that the source reads.
pub(super) fn of_source(
    run: &RunConfig,
    source: &str,
    set: &[String],
) -> Result<DataConfig, VlpError> {
    let kind = SourceKind::parse(SOURCE, source)?;
    let sources = Sources {
        values: vec![(SOURCE.into(), Value::String(source.into()))],
        set: set.to_vec(),
        ..Sources::default()
    };
    check_used(sources.set_keys(), kind.keys(), "this source")?;
    Ok(overlay(run, &sources)?.data)
}

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
    use crate::config::resolve;

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
            let mut data = of_source(&run, source, &set).unwrap();
            let entries = entries(&data).unwrap();
            data.index = None;
            assert_eq!(restore(&run, &entries).unwrap(), data, "{entries:?}");
        }
        let line = of_source(&run, "scenes", &["data.images=x".into()]);
        let line = line.unwrap_err().to_string();
        assert!(
            line.contains("data.images: this source does not read it"),
            "{line}"
        );
    }
}
