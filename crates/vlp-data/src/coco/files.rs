use std::path::{Path, PathBuf};

use crate::DataError;

/// Where a split's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CocoFiles {
    /// `captions_SPLIT.json`.
    pub captions: PathBuf,
    /// `instances_SPLIT.json`, where boxes are annotated.
    pub instances: Option<PathBuf>,
    /// The folder that the images' `file_name`s start from.
    pub images: PathBuf,
}

impl CocoFiles {
    /// Finds a split's files in COCO's layout, see [`CocoSource::open`](crate::CocoSource::open).
    ///
    /// # Errors
    /// [`DataError::Missing`] saying what was looked for, or which splits there are to choose from.
    pub fn find(dir: &Path, split: Option<&str>) -> Result<Self, DataError> {
        let annotations = dir.join("annotations");
        let split = match split {
            Some(split) => split.to_owned(),
            None => only_split(&annotations)?,
        };
        let captions = annotations.join(format!("captions_{split}.json"));
        if !captions.is_file() {
            return Err(DataError::Missing {
                path: captions,
                reason: "no such caption file".into(),
            });
        }
        let instances = annotations.join(format!("instances_{split}.json"));
        let folders = [
            dir.join(&split),
            dir.join("images").join(&split),
            dir.join("images"),
        ];
        let Some(images) = folders.iter().find(|folder| folder.is_dir()) else {
            let reason =
                format!("no folder of pictures: neither {split}, images/{split} nor images");
            return Err(DataError::Missing {
                path: dir.into(),
                reason,
            });
        };
        let instances = instances.is_file().then_some(instances);
        Ok(Self {
            captions,
            instances,
            images: images.clone(),
        })
    }

    /// Folder and split, for messages.
    pub(crate) fn name(&self) -> String {
        let stem = self
            .captions
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let split = stem.strip_prefix("captions_").unwrap_or(&stem);
        match self
            .captions
            .parent()
            .and_then(Path::parent)
            .and_then(Path::file_name)
        {
            Some(dir) => format!("{} {split}", dir.to_string_lossy()),
            None => split.to_owned(),
        }
    }
}

fn only_split(annotations: &Path) -> Result<String, DataError> {
    let listing = std::fs::read_dir(annotations).map_err(DataError::io(annotations))?;
    let mut splits: Vec<String> = listing
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|file| {
            Some(
                file.strip_prefix("captions_")?
                    .strip_suffix(".json")?
                    .to_owned(),
            )
        })
        .collect();
    splits.sort();
    let reason = match splits.len() {
        1 => return Ok(splits.swap_remove(0)),
        0 => "no captions_SPLIT.json in it".into(),
        _ => format!("several splits, say which: {}", splits.join(", ")),
    };
    Err(DataError::Missing {
        path: annotations.into(),
        reason,
    })
}
