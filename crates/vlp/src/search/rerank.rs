//! Log odds of candidates by the matching head.

use rayon::prelude::*;
use vlp_data::{ResizedImage, Source};
use vlp_index::{IndexedImage, Scored};

use super::search_index::SearchIndex;
use crate::error::VlpError;
use crate::predict::Predictor;

/// Pairs of image and text that are computed together.
const BATCH: usize = 32;

/// Log odds of candidates, `None` for those that cannot be read, with messages about them.
pub(super) type LogOdds = (Vec<Option<f32>>, Vec<String>);

impl Predictor {
    /// Log odds of a text with candidate images, which are read from the source.
    pub(super) fn image_log_odds(
        &self,
        search: &SearchIndex,
        source: &dyn Source,
        text: &str,
        candidates: &[Scored],
    ) -> Result<LogOdds, VlpError> {
        let texts = [text.to_owned()];
        let images = search.index().images();
        let candidate_images = candidates.par_iter().map(|scored| &images[scored.index]);
        let loaded: Vec<_> = candidate_images
            .map(|image| self.load_indexed(source, image))
            .collect();
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

    /// The image of the source that was indexed, or why it is not there.
    fn load_indexed(
        &self,
        source: &dyn Source,
        indexed: &IndexedImage,
    ) -> Result<ResizedImage, String> {
        let sample = source.load(indexed.sample);
        let sample = sample.map_err(|error| error.to_string())?;
        if sample.key != indexed.key || sample.name != indexed.name {
            return Err(format!(
                "sample {} was {} (image {}) when it was indexed and is now {} (image {}): index the source again",
                indexed.sample, indexed.name, indexed.key, sample.name, sample.key
            ));
        }
        let resized = self.resize(&sample.image);
        resized.map_err(|error| format!("{}: {error}", indexed.name))
    }
}
