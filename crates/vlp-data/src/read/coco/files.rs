use std::path::{Path, PathBuf};

use crate::DataError;

/// COCO's files of one split, or files in the same format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CocoFiles {
    /// `captions_SPLIT.json`.
    pub captions: PathBuf,
    /// `instances_SPLIT.json`, if boxes are annotated.
    pub instances: Option<PathBuf>,
    /// The folder that the images' `file_name`s are relative to.
    pub images: PathBuf,
}

impl CocoFiles {
    /// Finds `DIR/annotations/captions_SPLIT.json`, `instances_SPLIT.json` next to it if it exists, and the images in
    /// `DIR/SPLIT`, `DIR/images/SPLIT` or `DIR/images`. `split`, such as `val2017`, is needed only if there are several.
    ///
    /// # Errors
    /// [`DataError::Missing`] if a file is missing or `split` is needed; the message lists the splits.
    pub fn find(dir: impl AsRef<Path>, split: Option<&str>) -> Result<Self, DataError> {
        let dir = dir.as_ref();
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
            let reason = format!("no folder of images: neither {split}, images/{split} nor images");
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

    /// All files and folders that are read, as inputs of [`cache::open_or_build`](super::super::cache::open_or_build).
    pub fn inputs(&self) -> Vec<PathBuf> {
        let mut inputs = vec![self.captions.clone(), self.images.clone()];
        inputs.extend(self.instances.clone());
        inputs
    }

    /// Folder and split, for messages.
    pub(super) fn name(&self) -> String {
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
        0 => "it has no captions_SPLIT.json".into(),
        _ => format!("it has several splits, select one: {}", splits.join(", ")),
    };
    Err(DataError::Missing {
        path: annotations.into(),
        reason,
    })
}
