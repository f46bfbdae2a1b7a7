//! Kinds of data sources.

use std::path::PathBuf;

use crate::error::VlpError;

/// A data source: `scenes`, or `KIND:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceKind {
    /// Generated scenes.
    Scenes,
    /// `coco:DIR`: COCO's annotation files and images.
    Coco(PathBuf),
    /// `vqa:DIR/SPLIT`: VQA v2's questions and annotations of a split, such as `train2014`.
    Vqa(PathBuf),
    /// `nlvr2:FILE`: JSON lines; images in `data.images`.
    Nlvr2(PathBuf),
    /// `snli-ve:FILE`: JSON lines; images in `data.images`.
    SnliVe(PathBuf),
    /// `karpathy:FILE`: training splits of `dataset_coco.json` or `dataset_flickr30k.json`; images in `data.images`.
    Karpathy(PathBuf),
    /// `karpathy-test:FILE`: its test split.
    KarpathyTest(PathBuf),
    /// `json:FILE`: images with captions, boxes or questions in plain JSON or JSON lines.
    Json(PathBuf),
    /// `genome:DIR`: Visual Genome's `image_data.json`, `region_descriptions.json`, `objects.json`, `attributes.json`, and
    /// the vocabularies `objects_vocab.txt` and `attributes_vocab.txt`.
    Genome(PathBuf),
    /// `shards:PATH`: output of `vlp data pack`, or webdataset tar files, in a folder or at a URL.
    Shards(PathBuf),
}

impl SourceKind {
    /// Parses a source, the value of `key`.
    ///
    /// # Errors
    /// [`VlpError::Config`] for an unknown kind or a missing path.
    pub fn parse(key: &str, source: &str) -> Result<Self, VlpError> {
        let invalid = || {
            VlpError::Config(format!(
                "{key} = \"{source}\": use \"scenes\", \"coco:DIR\", \"vqa:DIR/SPLIT\", \"nlvr2:FILE\", \"snli-ve:FILE\", \"karpathy:FILE\", \"karpathy-test:FILE\", \"json:FILE\", \"genome:DIR\" or \"shards:PATH\""
            ))
        };
        let (kind, path) = match source.split_once(':') {
            None if source == "scenes" => return Ok(Self::Scenes),
            Some((kind, path)) if !path.is_empty() => (kind, PathBuf::from(path)),
            _ => return Err(invalid()),
        };
        Ok(match kind {
            "coco" => Self::Coco(path),
            "vqa" => Self::Vqa(path),
            "nlvr2" => Self::Nlvr2(path),
            "snli-ve" => Self::SnliVe(path),
            "karpathy" => Self::Karpathy(path),
            "karpathy-test" => Self::KarpathyTest(path),
            "json" => Self::Json(path),
            "genome" => Self::Genome(path),
            "shards" => Self::Shards(path),
            _ => return Err(invalid()),
        })
    }
}
