//! Log odds of candidates by the matching head.

use rayon::prelude::*;
use vlp_data::{ResizedImage, Source};
use vlp_index::Scored;

use super::changes::difference;
use super::search_index::SearchIndex;
use crate::error::VlpError;
use crate::predict::Predictor;

/// Pairs of image and text that are computed together.
const BATCH: usize = 32;

/// Log odds of candidates, `None` for those that cannot be read, with messages about them.
pub(super) type LogOdds = (Vec<Option<f32>>, Vec<String>);

impl Predictor {
    /// Log odds of a text with candidate images, which are read from the source. One that has changed is an error.
    pub(super) fn image_log_odds(
        &self,
        search: &SearchIndex,
        source: &dyn Source,
        text: &str,
        candidates: &[Scored],
    ) -> Result<LogOdds, VlpError> {
        let texts = [text.to_owned()];
        let loaded = candidates.par_iter();
        let loaded = loaded.map(|scored| self.load_indexed(search, source, scored.index));
        let loaded: Vec<_> = loaded.collect::<Result<_, VlpError>>()?;
        let mut log_odds = vec![None; candidates.len()];
        let (mut readable, mut problems) = (vec![], vec![]);
        for (number, image) in loaded.into_iter().enumerate() {
            match image {
                Ok(image) => readable.push((number, image)),
                Err(problem) => problems.push(problem),
            }
        }
        // Images that are padded alike, each batch of them.
        readable.sort_by_key(|(_, image)| self.padded_size(image));
        let is_alike = |a: &(usize, ResizedImage), b: &(usize, ResizedImage)| {
            self.padded_size(&a.1) == self.padded_size(&b.1)
        };
        for batch in readable
            .chunk_by(is_alike)
            .flat_map(|alike| alike.chunks(BATCH))
        {
            let pairs = batch.iter().map(|(_, image)| (image, &texts[..]));
            let rows = self.match_log_odds(&pairs.collect::<Vec<_>>())?;
            for ((number, _), row) in batch.iter().zip(rows) {
                log_odds[*number] = row.first().copied();
            }
        }
        Ok((log_odds, problems))
    }

    /// Log odds of an image with texts.
    pub(super) fn text_log_odds(
        &self,
        image: &ResizedImage,
        texts: &[String],
    ) -> Result<Vec<Option<f32>>, VlpError> {
        let mut log_odds = vec![];
        for batch in texts.chunks(BATCH) {
            let rows = self.match_log_odds(&[(image, batch)])?;
            log_odds.extend(rows.into_iter().flatten().map(Some));
        }
        Ok(log_odds)
    }

    /// The image of the source that was indexed, or why it cannot be read.
    fn load_indexed(
        &self,
        search: &SearchIndex,
        source: &dyn Source,
        image: usize,
    ) -> Result<Result<ResizedImage, String>, VlpError> {
        let index = search.index();
        let indexed = &index.images()[image];
        let sample = match source.load(indexed.sample) {
            Ok(sample) => sample,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if let Some(difference) = difference(&sample, indexed, index.texts_of(image)) {
            return Err(VlpError::Config(format!(
                "index {}: its source has changed: {difference}; index the source anew, in another folder, or search without re-ranking (rerank 0)",
                index.folder().display()
            )));
        }
        let resized = self.resize(&sample.image);
        Ok(resized.map_err(|error| format!("{}: {error}", indexed.name)))
    }
}
