//! An index that is open for a run.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use burn::prelude::*;
use vlp_data::Source;
use vlp_index::{Index, IndexHeader};

use super::data_settings;
use crate::config::CheckpointChoice;
use crate::data::open_plain;
use crate::error::VlpError;
use crate::predict::Predictor;
use crate::run::is_hf_folder;

/// An index of the embeddings of a run, and the images that it was made of if they can be read here.
pub struct SearchIndex {
    index: Index,
    source: Option<Arc<dyn Source>>,
    has_matching: bool,
}

impl fmt::Debug for SearchIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SearchIndex")
            .field("index", &self.index.header())
            .field("source", &self.source.as_ref().map(|source| source.name()))
            .finish_non_exhaustive()
    }
}

/// The model that made an index: that of the run that the index names, or of `run` if it was moved.
///
/// # Errors
/// As [`Predictor::load_checkpoint`]; [`VlpError::RunFolder`] if the run is not there.
pub fn load_run_of(
    header: &IndexHeader,
    run: Option<&Path>,
    device: &Device,
) -> Result<Predictor, VlpError> {
    let path = run.unwrap_or(Path::new(&header.run.path));
    if run.is_none() && !path.exists() {
        return Err(VlpError::RunFolder {
            path: path.into(),
            reason: "the run that made the index no longer exists at that path; --run DIR says where it is"
                .into(),
        });
    }
    let checkpoint = match is_hf_folder(path) {
        true => CheckpointChoice::Last,
        false => CheckpointChoice::Step(header.run.step),
    };
    Predictor::load_checkpoint(path, checkpoint, device)
}

impl SearchIndex {
    /// Opens an index that `model` made. Returns messages about a source that cannot be read, without which images cannot be
    /// re-ranked by the matching head.
    ///
    /// # Errors
    /// [`VlpError::Index`] for a folder that is not a whole index, [`VlpError::Config`] for one of another run.
    pub fn open(path: &Path, model: &Predictor) -> Result<(Self, Vec<String>), VlpError> {
        let header = Index::read_header(path)?;
        let trained = model.trained();
        let fingerprint = trained.fingerprint()?;
        if fingerprint != header.run.fingerprint {
            return Err(VlpError::Config(format!(
                "{}: it is an index of another run or checkpoint ({}) than this one ({}, {} steps, fingerprint {}); \
                 open it with {}, or index the source with this run",
                path.display(),
                header.run.describe(),
                trained.config.preset,
                trained.step,
                &fingerprint[..12],
                header.run.path
            )));
        }
        let index = Index::open(path)?;
        let (mut source, mut notes) = (None, vec![]);
        let has_matching = trained.model().objectives().itm.is_some();
        if has_matching {
            match open_source(model, index.header()) {
                Ok(opened) => source = Some(opened),
                Err(reason) => notes.push(format!(
                    "{}: images are ranked by similarity alone, as those that it was made of cannot be read: {reason}",
                    path.display()
                )),
            }
        }
        let search = Self {
            index,
            source,
            has_matching,
        };
        Ok((search, notes))
    }

    /// The embeddings, names and texts.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The source of the images, if the matching head can read them.
    pub(super) fn source(&self) -> Option<&dyn Source> {
        self.source.as_deref()
    }

    /// Whether the matching head can put images in order: the run has one, and the source can be read.
    pub fn reranks_images(&self) -> bool {
        self.source.is_some()
    }

    /// Whether the matching head can put texts in order: the run has one.
    pub fn reranks_texts(&self) -> bool {
        self.has_matching
    }
}

fn open_source(model: &Predictor, header: &IndexHeader) -> Result<Arc<dyn Source>, String> {
    let data = data_settings::restore(&model.trained().config, &header.data);
    let opened = data.and_then(|data| open_plain(&data));
    let source = opened.map_err(|error| error.to_string())?.source;
    match source.len() == header.samples {
        true => Ok(source),
        false => Err(format!(
            "it has {} samples, and had {} when it was indexed; index it again",
            source.len(),
            header.samples
        )),
    }
}
