//! Whether the source of an index still has what was indexed.

use rayon::prelude::*;
use vlp_data::{Sample, Source};
use vlp_index::{IndexError, IndexWriter, IndexedImage};

use crate::error::VlpError;

/// In words, how a sample differs from the one that was indexed; `None` if it does not.
pub(super) fn difference<'a>(
    sample: &Sample,
    indexed: &IndexedImage,
    texts: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let number = indexed.sample;
    if sample.key != indexed.key || sample.name != indexed.name {
        return Some(format!(
            "sample {number} was {} (image {}) when it was indexed and is now {} (image {})",
            indexed.name, indexed.key, sample.name, sample.key
        ));
    }
    let changed = |what: &str| {
        let name = &sample.name;
        Some(format!(
            "sample {number}, {name}, has other {what} than when it was indexed"
        ))
    };
    if sample.image.key() != indexed.pixel_hash {
        return changed("pixels");
    }
    // Of equal texts of an image the index has one.
    let mut now: Vec<&str> = vec![];
    for text in &sample.captions {
        if !now.contains(&text.as_str()) {
            now.push(text);
        }
    }
    match texts.into_iter().eq(now) {
        true => None,
        false => changed("texts"),
    }
}

/// Compares a source with the images that an interrupted or complete index has of it.
///
/// # Errors
/// [`VlpError::Index`] that names the first sample that has changed, [`VlpError::Data`] if a store of samples cannot be read.
pub(super) fn check_unchanged(source: &dyn Source, writer: &IndexWriter) -> Result<(), VlpError> {
    let images: Vec<_> = writer.resumed().collect();
    let change = |(indexed, texts): &(&IndexedImage, Vec<&str>)| {
        let (number, name) = (indexed.sample, &indexed.name);
        match source.load(number) {
            Ok(sample) => difference(&sample, indexed, texts.iter().copied()).map(Ok),
            Err(error) if error.is_of_store() => Some(Err(error)),
            Err(error) => Some(Ok(format!(
                "sample {number}, {name}, could be read when it was indexed: {error}"
            ))),
        }
    };
    match images.par_iter().find_map_first(change).transpose()? {
        None => Ok(()),
        Some(change) => Err(VlpError::Index(IndexError::Taken {
            path: writer.folder().into(),
            reason: format!(
                "its source has changed since it was begun: {change}; index the source anew, in another folder"
            ),
        })),
    }
}
