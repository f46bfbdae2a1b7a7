//! Kinds of data sources.

use std::path::{Path, PathBuf};

use vlp_data::read::KarpathySplit;

use crate::error::VlpError;

/// A data source: `scenes`, `KIND:PATH`, or `KIND:PATH@SPLIT` for files that have several splits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceKind {
    /// Generated scenes.
    Scenes,
    /// `coco:DIR@SPLIT`: COCO's annotation files and images of a split, such as `train2017`; `None` if there is only one.
    Coco(PathBuf, Option<String>),
    /// `vqa:DIR@SPLIT` or `vqa:DIR/SPLIT`: VQA v2's questions and annotations of a split, such as `train2014`.
    Vqa(PathBuf, Option<String>),
    /// `nlvr2:FILE`: JSON lines; images in `data.images`.
    Nlvr2(PathBuf),
    /// `snli-ve:FILE`: JSON lines; images in `data.images`.
    SnliVe(PathBuf),
    /// `karpathy:FILE@SPLIT`: a split of `dataset_coco.json` or `dataset_flickr30k.json`, by default those to train on;
    /// images in `data.images`. `karpathy-test:FILE` is `karpathy:FILE@test`.
    Karpathy(PathBuf, Vec<KarpathySplit>),
    /// `json:FILE`: images with captions, boxes or questions in plain JSON or JSON lines.
    Json(PathBuf),
    /// `genome:DIR`: Visual Genome's `image_data.json`, `region_descriptions.json`, `objects.json`, `attributes.json`, and
    /// the vocabularies `objects_vocab.txt` and `attributes_vocab.txt`.
    Genome(PathBuf),
    /// `shards:PATH`: output of `vlp data pack`, or webdataset tar files, in a folder or at a URL.
    Shards(PathBuf),
}

impl SourceKind {
    /// Whether such a source numbers its classes as they occur in its records.
    pub(crate) fn numbers_classes_by_occurrence(&self) -> bool {
        matches!(self, Self::Json(_) | Self::Shards(_))
    }

    /// The names of the kinds that have a path.
    pub const NAMES: [&str; 9] = [
        "coco",
        "vqa",
        "nlvr2",
        "snli-ve",
        "karpathy",
        "karpathy-test",
        "json",
        "genome",
        "shards",
    ];

    /// The configuration keys by which sources of this kind are read, besides that of the source.
    pub fn keys(&self) -> &'static [&'static str] {
        match self {
            Self::Scenes => &["data.task", "data.scenes."],
            Self::SnliVe(_) => &["data.images", "data.index", "data.premise"],
            Self::Genome(_) => &["data.images", "data.index", "data.duplicate_iou"],
            Self::Shards(_) => &["data.index"],
            _ => &["data.images", "data.index"],
        }
    }

    /// The local folder or file; `None` for generated scenes and URLs.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Scenes => None,
            Self::Shards(path) if path.to_string_lossy().contains("://") => None,
            // `DIR/SPLIT` is not a file, but its folder exists.
            Self::Vqa(path, None) if path.parent().is_some_and(Path::is_dir) => None,
            Self::Coco(path, _)
            | Self::Vqa(path, _)
            | Self::Nlvr2(path)
            | Self::SnliVe(path)
            | Self::Karpathy(path, _)
            | Self::Json(path)
            | Self::Genome(path)
            | Self::Shards(path) => Some(path),
        }
    }

    /// Parses a source, the value of `key`. The text after the last `@` is not a split if it has a `/`, or if there is a file
    /// or folder of the whole name.
    ///
    /// # Errors
    /// [`VlpError::Config`] for an unknown kind or split, or a missing path.
    pub fn parse(key: &str, source: &str) -> Result<Self, VlpError> {
        let invalid = || {
            VlpError::Config(format!(
                "{key} = \"{source}\": use \"scenes\", \"coco:DIR\", \"coco:DIR@SPLIT\", \"vqa:DIR@SPLIT\", \"nlvr2:FILE\", \"snli-ve:FILE\", \"karpathy:FILE\", \"karpathy:FILE@SPLIT\", \"karpathy-test:FILE\", \"json:FILE\", \"genome:DIR\" or \"shards:PATH\""
            ))
        };
        let (kind, text) = match source.split_once(':') {
            None if source == "scenes" => return Ok(Self::Scenes),
            Some((kind, text)) if !text.is_empty() => (kind, text),
            _ => return Err(invalid()),
        };
        let path = PathBuf::from(text);
        Ok(match kind {
            "coco" => {
                let (path, split) = path_and_split(text);
                Self::Coco(path, split)
            }
            "vqa" => {
                let (path, split) = path_and_split(text);
                Self::Vqa(path, split)
            }
            "nlvr2" => Self::Nlvr2(path),
            "snli-ve" => Self::SnliVe(path),
            "karpathy" => {
                let (path, split) = path_and_split(text);
                let splits = match split.as_deref() {
                    None => KarpathySplit::TRAINING.to_vec(),
                    Some("train") => vec![KarpathySplit::Train],
                    Some("restval") => vec![KarpathySplit::Restval],
                    Some("val") => vec![KarpathySplit::Val],
                    Some("test") => vec![KarpathySplit::Test],
                    Some(split) => {
                        let file = path.display();
                        return Err(VlpError::Config(format!(
                            "{key} = \"{source}\": there is no split \"{split}\"; use \"karpathy:{file}\" (train and restval), \"karpathy:{file}@train\", \"karpathy:{file}@restval\", \"karpathy:{file}@val\" or \"karpathy:{file}@test\""
                        )));
                    }
                };
                Self::Karpathy(path, splits)
            }
            "karpathy-test" => Self::Karpathy(path, vec![KarpathySplit::Test]),
            "json" => Self::Json(path),
            "genome" => Self::Genome(path),
            "shards" => Self::Shards(path),
            _ => return Err(invalid()),
        })
    }
}

/// Splits `PATH@SPLIT`.
fn path_and_split(text: &str) -> (PathBuf, Option<String>) {
    match text.rsplit_once('@') {
        Some((path, split))
            if !path.is_empty()
                && !split.is_empty()
                && !split.contains(['/', '\\'])
                && !Path::new(text).exists() =>
        {
            (path.into(), Some(split.to_owned()))
        }
        _ => (text.into(), None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn split_is_the_text_after_the_last_at_sign() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("me@home");
        std::fs::create_dir(&dir).unwrap();
        let dir = dir.display().to_string();
        for (text, path, split) in [
            (dir.clone(), dir.clone(), None),
            (format!("{dir}@train2017"), dir.clone(), Some("train2017")),
            (format!("{dir}/12:30"), format!("{dir}/12:30"), None),
            ("@x".into(), "@x".into(), None),
            ("x@".into(), "x@".into(), None),
        ] {
            let kind = SourceKind::parse("data.source", &format!("coco:{text}")).unwrap();
            let split = split.map(str::to_owned);
            assert_eq!(kind, SourceKind::Coco(path.into(), split), "{text}");
        }
        let karpathy = |source: &str| SourceKind::parse("data.validation", source);
        let val = karpathy("karpathy:a.json@val").unwrap();
        assert_eq!(
            val,
            SourceKind::Karpathy("a.json".into(), vec![KarpathySplit::Val])
        );
        let test = karpathy("karpathy:a.json@test").unwrap();
        assert_eq!(test, karpathy("karpathy-test:a.json").unwrap());
        let error = karpathy("karpathy:a.json@dev").unwrap_err().to_string();
        assert!(error.contains("\"karpathy:a.json@val\""), "{error}");
    }
}
