//! Indices of served runs.

use std::path::{Path, PathBuf};

use vlp_index::Index;
use vlp_serve::{Head, ImageHit, SearchHits, SearchInfo, TextHit};

use super::ServedRun;
use crate::error::VlpError;
use crate::search::{Hits, SearchIndex};

/// Opens indices, each for the run that made it. Returns messages about sources that cannot be read.
///
/// # Errors
/// [`VlpError::Config`] for an index of none of the runs, or a second one of a run; as [`SearchIndex::open`].
pub fn attach_indices(
    runs: &mut [ServedRun],
    indices: &[PathBuf],
) -> Result<Vec<String>, VlpError> {
    let mut notes = vec![];
    for path in indices {
        let header = Index::read_header(path)?;
        let mut of_index = None;
        for run in runs.iter_mut() {
            if run.predictor.trained().fingerprint()? == header.run.fingerprint {
                of_index = Some(run);
                break;
            }
        }
        let run = of_index.ok_or_else(|| {
            VlpError::Config(format!(
                "--index {}: none of the served runs made it, with the checkpoints they are served with; it was made by {} ({})",
                path.display(),
                header.run.path,
                header.run.describe()
            ))
        })?;
        notes.extend(run.attach_index(path)?);
    }
    Ok(notes)
}

impl ServedRun {
    fn attach_index(&mut self, path: &Path) -> Result<Vec<String>, VlpError> {
        if let Some(other) = &self.search {
            return Err(VlpError::Config(format!(
                "--index {}: {} has an index already, {}; serve one for each run",
                path.display(),
                self.info.name,
                other.index().folder().display()
            )));
        }
        let (search, notes) = SearchIndex::open(path, &self.predictor)?;
        let index = search.index();
        self.info.search = Some(SearchInfo {
            images: index.images().len(),
            texts: index.texts().len(),
            reranks_images: search.reranks_images(),
            reranks_texts: search.reranks_texts(),
            thumbnails: index.header().thumbnail_side > 0,
        });
        self.info.heads.push(Head::Search);
        self.search = Some(search);
        Ok(notes)
    }
}

pub(super) fn image_hits(hits: Hits<ImageHit>) -> SearchHits {
    SearchHits {
        images: hits.hits,
        texts: vec![],
        compared: hits.compared,
        reranked: hits.reranked,
    }
}

pub(super) fn text_hits(hits: Hits<TextHit>) -> SearchHits {
    SearchHits {
        images: vec![],
        texts: hits.hits,
        compared: hits.compared,
        reranked: hits.reranked,
    }
}
