//! The settings by which the source of an index is opened, as the index keeps them.

use std::path::absolute;

use toml::Table;

use crate::config::{DataConfig, RunConfig, Sources, overlay};
use crate::error::VlpError;

const SOURCE: &str = "data.source";
const IMAGES: &str = "data.images";
/// A cache, which decides nothing about the samples.
const CACHE: &str = "data.index";

/// What of `data` decides the samples, as entries `key=value`. Paths are absolute: a search may have another working
/// directory.
pub(super) fn entries(data: &DataConfig) -> Result<Vec<String>, VlpError> {
    let kind = data.kind()?;
    let mut data = data.clone();
    data.source = absolute_source(&data.source);
    data.images = data
        .images
        .map(|images| absolute(&images).unwrap_or(images));
    let table = Table::try_from(&data).map_err(|error| VlpError::Config(error.to_string()))?;
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
    let mut data = overlay(run, &sources)?.data;
    // The run may have the same source with other images.
    let has_images = |entry: &String| entry.split('=').next() == Some(IMAGES);
    if !entries.iter().any(has_images) {
        data.images = None;
    }
    Ok(data)
}

/// A source with its path, if it is a local one, as an absolute path.
fn absolute_source(source: &str) -> String {
    match source.split_once(':') {
        Some((kind, path)) if !path.contains("://") => match absolute(path) {
            Ok(path) => format!("{kind}:{}", path.to_string_lossy()),
            Err(_) => source.to_owned(),
        },
        _ => source.to_owned(),
    }
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
            data.source = absolute_source(&data.source);
            data.images = data.images.map(|images| absolute(images).unwrap());
            assert_eq!(restore(&run, &entries).unwrap(), data, "{entries:?}");
        }
    }

    #[test]
    fn local_paths_are_absolute_and_others_stay() {
        let here = std::env::current_dir().unwrap();
        let here = here.display();
        for (source, expected) in [
            ("scenes", "scenes".to_owned()),
            ("coco:a@val", format!("coco:{here}/a@val")),
            ("json:./b/c.json", format!("json:{here}/b/c.json")),
            ("shards:s3://bucket/a", "shards:s3://bucket/a".into()),
            ("vqa:/data/vqa/val", "vqa:/data/vqa/val".into()),
        ] {
            assert_eq!(absolute_source(source), expected);
        }
    }

    #[test]
    fn images_of_the_run_are_not_those_of_an_index_without() {
        let set = |entries: &[&str]| Sources {
            set: entries.iter().map(|&entry| entry.into()).collect(),
            ..Sources::default()
        };
        let run = resolve(&set(&["data.source=coco:/a", "data.images=/b"])).unwrap();
        let entries = ["data.source=\"coco:/a\"".to_owned()];
        assert_eq!(restore(&run, &entries).unwrap().images, None);
    }
}
