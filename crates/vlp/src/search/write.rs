//! Writing the index of a data source.

use std::ops::Range;
use std::path::{Path, absolute};

use rayon::prelude::*;
use vlp_data::{ResizedImage, Source};
use vlp_index::{Index, IndexHeader, IndexWriter, IndexedImage, RunIdentity, Segment};

use super::changes::check_unchanged;
use super::data_settings;
use super::thumbnail::thumbnail;
use crate::config::other_source;
use crate::data::{OpenedSource, open_plain};
use crate::error::VlpError;
use crate::predict::Predictor;

/// Samples of a segment: the most that a killed process loses.
const SEGMENT: usize = 256;
/// Texts that are encoded together.
const TEXTS: usize = 128;

/// What is indexed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexOptions {
    /// The source, as `data.source`.
    pub source: String,
    /// Settings by which it is opened, entries `key=value`.
    pub set: Vec<String>,
    /// Maximum width and height of thumbnails in pixels; 0 leaves them out.
    pub thumbnail_side: usize,
}

/// A source that is opened to be indexed.
#[derive(Debug)]
pub struct IndexedSource {
    opened: OpenedSource,
    header: IndexHeader,
}

impl IndexedSource {
    /// Opens the source; `run` is the folder of the model.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run has no contrastive head, or for a source that cannot be opened.
    pub fn open(model: &Predictor, run: &Path, options: &IndexOptions) -> Result<Self, VlpError> {
        let dim = model.embedding_dim()?;
        let trained = model.trained();
        let data = other_source(&trained.config, &options.source, &options.set)?;
        let opened = open_plain(&data)?;
        let path = absolute(run).unwrap_or_else(|_| run.into());
        let header = IndexHeader {
            run: RunIdentity {
                path: path.to_string_lossy().into_owned(),
                preset: trained.config.preset.clone(),
                step: trained.step,
                fingerprint: trained.fingerprint()?,
                dim,
            },
            data: data_settings::entries(&data)?,
            samples: opened.source.len(),
            thumbnail_side: options.thumbnail_side,
        };
        Ok(Self { opened, header })
    }

    /// Messages about records that were skipped.
    pub fn notes(&self) -> &[String] {
        &self.opened.notes
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexReport {
    /// Images of the index.
    pub images: usize,
    /// Different texts of the index.
    pub texts: usize,
    /// Samples that an interrupted index had already.
    pub resumed_at: usize,
    /// Messages about samples that cannot be read.
    pub skipped: Vec<String>,
}

/// Encodes every image and every text of a source once and writes the index `out`, or resumes an interrupted one, with the
/// same bytes in the end. `progress` gets the number of samples that this call has done, and that it does in all.
///
/// # Errors
/// [`VlpError::Index`] if something else is at `out`, the source has changed since the index was begun, or it cannot be
/// written, [`VlpError::RunFolder`] if no sample can be read, [`VlpError::Data`] if a store of samples cannot be read,
/// [`VlpError::Config`] for samples of two images, [`VlpError::Objective`] for images too small for the model.
pub fn write_index(
    model: &Predictor,
    source: &IndexedSource,
    out: &Path,
    progress: &dyn Fn(usize, usize),
) -> Result<IndexReport, VlpError> {
    let samples = source.header.samples;
    let nothing = |reason: String| VlpError::RunFolder {
        path: out.into(),
        reason: format!("nothing to write: {reason}"),
    };
    if samples == 0 {
        return Err(nothing("the source has no samples".into()));
    }
    let mut writer = IndexWriter::open(out, &source.header)?;
    check_unchanged(&*source.opened.source, &writer)?;
    let resumed_at = writer.samples();
    while writer.samples() < samples {
        progress(writer.samples() - resumed_at, samples - resumed_at);
        let start = writer.samples();
        let end = samples.min(start + SEGMENT);
        let segment = encode(model, source, start..end, writer.segment())?;
        writer.push(end - start, segment)?;
    }
    progress(samples - resumed_at, samples - resumed_at);
    writer.finish()?;
    let index = Index::open(out)?;
    match (index.images().len(), index.skipped().first()) {
        (0, Some(first)) => Err(nothing(format!(
            "{first}; delete the folder before you index the source again"
        ))),
        (images, _) => Ok(IndexReport {
            images,
            texts: index.texts().len(),
            resumed_at,
            skipped: index.skipped().to_vec(),
        }),
    }
}

/// A sample that was read.
struct Prepared {
    image: IndexedImage,
    texts: Vec<String>,
    resized: ResizedImage,
    thumbnail: Option<Vec<u8>>,
}

/// Fills the segment of some samples. Its bits depend on them and on the samples before alone.
fn encode(
    model: &Predictor,
    source: &IndexedSource,
    range: Range<usize>,
    mut segment: Segment,
) -> Result<Segment, VlpError> {
    let batch_size = model.trained().config.data.batch_size.max(1);
    let side = source.header.thumbnail_side;
    let samples = &*source.opened.source;
    for first in range.clone().step_by(batch_size) {
        let count = batch_size.min(range.end - first);
        let numbers = (first..first + count).into_par_iter();
        let prepared: Vec<_> = numbers
            .map(|number| prepare(model, samples, number, side))
            .collect();
        let mut readable = vec![];
        for sample in prepared {
            match sample? {
                Ok(sample) => readable.push(sample),
                Err(problem) => segment.push_skipped(problem),
            }
        }
        // Images of a batch are padded alike, so that the batch does not change their embeddings.
        let size = |sample: &Prepared| model.padded_size(&sample.resized);
        for batch in readable.chunk_by_mut(|a, b| size(a) == size(b)) {
            let images: Vec<&ResizedImage> = batch.iter().map(|sample| &sample.resized).collect();
            let embeddings = model.image_embeddings(&images)?;
            for (sample, embedding) in batch.iter_mut().zip(embeddings) {
                let thumbnail = sample.thumbnail.take();
                segment.push_image(sample.image.clone(), &sample.texts, &embedding, thumbnail);
            }
        }
    }
    let mut rows = vec![];
    for texts in segment.texts().chunks(TEXTS) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        rows.extend(model.text_embeddings(&texts)?.concat());
    }
    segment.set_text_embeddings(rows);
    Ok(segment)
}

/// A sample as the model reads it, or a message if it cannot be read.
fn prepare(
    model: &Predictor,
    source: &dyn Source,
    index: usize,
    side: usize,
) -> Result<Result<Prepared, String>, VlpError> {
    let sample = match source.load(index) {
        Ok(sample) => sample,
        Err(error) if error.is_of_store() => return Err(error.into()),
        Err(error) => return Ok(Err(error.to_string())),
    };
    if sample.second_image.is_some() {
        return Err(VlpError::Config(format!(
            "{}: the sample {} has two images; an index is of single images and their texts",
            source.name(),
            sample.name
        )));
    }
    let thumbnail = match side {
        0 => None,
        side => Some(thumbnail(&sample.image, side)?),
    };
    Ok(Ok(Prepared {
        resized: model.resize(&sample.image)?,
        image: IndexedImage {
            sample: index,
            key: sample.key,
            name: sample.name,
            pixel_hash: sample.image.key(),
        },
        texts: sample.captions,
        thumbnail,
    }))
}
