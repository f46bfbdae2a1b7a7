//! The data settings of a run for another source.

use toml::Value;

use super::{DataConfig, RunConfig, SourceKind, Sources, check_used, overlay};
use crate::error::VlpError;

const SOURCE: &str = "data.source";
const INDEX: &str = "data.index";

/// The data settings of a run, with another source and with `set`, entries `key=value` of keys that the source reads. What
/// belongs to the source of the run, such as `data.images` and the cache `data.index`, is dropped unless it is the same one.
///
/// # Errors
/// As [`SourceKind::parse`] and [`overlay`], and [`VlpError::Config`] for a key that the source does not read.
pub fn other_source(run: &RunConfig, source: &str, set: &[String]) -> Result<DataConfig, VlpError> {
    let kind = SourceKind::parse(SOURCE, source)?;
    let sources = Sources {
        values: vec![(SOURCE.into(), Value::String(source.into()))],
        set: set.to_vec(),
        ..Sources::default()
    };
    check_used(sources.set_keys(), kind.keys(), "this source")?;
    let mut data = overlay(run, &sources)?.data;
    if source != run.data.source && !sources.set_keys().any(|key| key == INDEX) {
        data.index = None;
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;

    use super::*;
    use crate::config::resolve;

    #[test]
    fn what_belongs_to_the_source_of_the_run_is_dropped() {
        let set = [
            "data.source=coco:a",
            "data.images=b",
            "data.index=cache",
            "data.batch_size=3",
        ];
        let run = resolve(&Sources {
            set: set.map(str::to_owned).into(),
            ..Sources::default()
        });
        let run = run.unwrap();
        let folders = |source: &str, set: &[String]| {
            let data = other_source(&run, source, set).unwrap();
            assert_eq!((data.source.as_str(), data.batch_size), (source, 3));
            [data.images, data.index]
        };
        let paths = |paths: [&str; 2]| paths.map(|path| Some(PathBuf::from(path)));
        assert_eq!(folders("coco:a", &[]), paths(["b", "cache"]));
        assert_eq!(folders("coco:c", &[]), [None, None]);
        let set = ["data.images=d", "data.index=e"].map(str::to_owned);
        assert_eq!(folders("coco:c", &set), paths(["d", "e"]));
        let line = other_source(&run, "scenes", &set).unwrap_err().to_string();
        assert!(
            line.contains("data.images: this source does not read it"),
            "{line}"
        );
    }
}
