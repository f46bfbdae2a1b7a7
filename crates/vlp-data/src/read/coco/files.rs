use std::path::{Path, PathBuf};

use crate::{
    DataError,
    read::folders::{image_folders, splits},
};

/// COCO's files of one split, or files in the same format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CocoFiles {
    /// `captions_SPLIT.json`.
    pub captions: PathBuf,
    /// `instances_SPLIT.json`, if boxes are annotated.
    pub instances: Option<PathBuf>,
    /// The folders that the images' `file_name`s are relative to, at least one; the first that has the file counts.
    pub images: Vec<PathBuf>,
}

impl CocoFiles {
    /// Finds `DIR/annotations/captions_SPLIT.json`, `instances_SPLIT.json` next to it if it exists, and the images in
    /// `DIR/SPLIT`, `DIR/images/SPLIT` or `DIR/images`. `split`, such as `val2017`, is needed only if there are several.
    ///
    /// # Errors
    /// [`DataError::Missing`] if a file is missing or `split` is needed; the message lists the splits.
    pub fn find(dir: impl AsRef<Path>, split: Option<&str>) -> Result<Self, DataError> {
        Self::find_with_images(dir, split, None)
    }

    /// As [`find`](Self::find), with images first searched in `images/SPLIT` and `images`.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn find_with_images(
        dir: impl AsRef<Path>,
        split: Option<&str>,
        images: Option<&Path>,
    ) -> Result<Self, DataError> {
        let dir = dir.as_ref();
        let annotations = dir.join("annotations");
        let splits = Self::splits(dir)?;
        let missing = |path: &Path, reason: String| DataError::Missing {
            path: path.into(),
            reason,
        };
        let split = match (split, splits.as_slice()) {
            (Some(split), _) => split,
            (None, [split]) => split,
            (None, []) => {
                return Err(missing(
                    &annotations,
                    "it has no captions_SPLIT.json".into(),
                ));
            }
            (None, splits) => {
                let reason = format!("it has several splits, select one: {}", splits.join(", "));
                return Err(missing(&annotations, reason));
            }
        };
        let captions = annotations.join(format!("captions_{split}.json"));
        if !captions.is_file() {
            let reason = match splits.is_empty() {
                true => "no such caption file, nor one of another split".to_owned(),
                false => format!(
                    "no such caption file; the splits are: {}",
                    splits.join(", ")
                ),
            };
            return Err(missing(&captions, reason));
        }
        let instances = annotations.join(format!("instances_{split}.json"));
        let reason = || format!("no folder of images: neither {split}, images/{split} nor images");
        let images = image_folders(dir, split, images, &[dir.join(split)])
            .ok_or_else(|| missing(dir, reason()))?;
        Ok(Self {
            captions,
            instances: instances.is_file().then_some(instances),
            images,
        })
    }

    /// The splits in `dir/annotations`, sorted: those with a `captions_SPLIT.json`.
    ///
    /// # Errors
    /// [`DataError::Io`] if the folder cannot be listed.
    pub fn splits(dir: impl AsRef<Path>) -> Result<Vec<String>, DataError> {
        splits(&dir.as_ref().join("annotations"), "captions_", ".json")
    }

    /// All files and folders that are read, as inputs of [`cache::open_or_build`](super::super::cache::open_or_build).
    pub fn inputs(&self) -> Vec<PathBuf> {
        let mut inputs = vec![self.captions.clone()];
        inputs.extend(self.instances.clone());
        inputs.extend(self.images.iter().cloned());
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
