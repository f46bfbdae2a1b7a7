//! Searches.

use vlp_data::ResizedImage;
use vlp_index::Embeddings;
use vlp_serve::{ImageHit, TextHit};

use super::hits::{Hits, SearchOptions};
use super::rank::{Ranked, probability, rank};
use super::search_index::SearchIndex;
use crate::error::VlpError;
use crate::predict::Predictor;

/// Images that a hit names of those that have its text.
const IMAGES: usize = 8;

impl Predictor {
    /// The images of an index that `text` describes best. Every image is compared with it, and the best ones are re-ranked
    /// by the matching head if the run has one and the images can be read.
    ///
    /// # Errors
    /// [`VlpError::Config`] if the run has no contrastive head, or if an image that is re-ranked has changed since it was
    /// indexed; [`VlpError::Index`] for the index of a run with embeddings of another width, [`VlpError::Objective`] for
    /// images too small for the model.
    pub fn search_images(
        &self,
        search: &SearchIndex,
        text: &str,
        options: SearchOptions,
    ) -> Result<Hits<ImageHit>, VlpError> {
        let index = search.index();
        let embedding = self.text_embeddings(&[text])?.concat();
        let rows = index.image_embeddings();
        let candidates = rows.top(&embedding, options.top.max(options.rerank))?;
        let (log_odds, problems) = match search.source() {
            Some(source) => {
                let count = options.rerank.min(candidates.len());
                self.image_log_odds(search, source, text, &candidates[..count])?
            }
            None => (vec![], vec![]),
        };
        let hit = |(scored, log_odds): Ranked| {
            let image = scored.index;
            ImageHit {
                image,
                name: index.images()[image].name.clone(),
                similarity: scored.score,
                probability: log_odds.map(probability),
                texts: index.texts_of(image).map(str::to_owned).collect(),
            }
        };
        let ranked = rank(candidates, &log_odds);
        Ok(hits(ranked, options, rows, &log_odds, problems, hit))
    }

    /// The texts of an index that describe an image best, each once. Every text is compared with it, and the best ones are put
    /// in order by the matching head if the run has one.
    ///
    /// # Errors
    /// As [`Self::search_images`].
    pub fn search_texts(
        &self,
        search: &SearchIndex,
        image: &ResizedImage,
        options: SearchOptions,
    ) -> Result<Hits<TextHit>, VlpError> {
        let index = search.index();
        let embedding = self.image_embeddings(&[image])?.concat();
        let rows = index.text_embeddings();
        let candidates = rows.top(&embedding, options.top.max(options.rerank))?;
        let log_odds = match search.reranks_texts() {
            true => {
                let candidates = candidates.iter().take(options.rerank);
                let texts = candidates.map(|scored| index.texts()[scored.index].text.to_string());
                self.text_log_odds(image, &texts.collect::<Vec<_>>())?
            }
            false => vec![],
        };
        let hit = |(scored, log_odds): Ranked| {
            let text = &index.texts()[scored.index];
            TextHit {
                text: text.text.to_string(),
                similarity: scored.score,
                probability: log_odds.map(probability),
                images: text.images.iter().copied().take(IMAGES).collect(),
                image_count: text.images.len(),
            }
        };
        let ranked = rank(candidates, &log_odds);
        Ok(hits(ranked, options, rows, &log_odds, vec![], hit))
    }
}

fn hits<T>(
    ranked: Vec<Ranked>,
    options: SearchOptions,
    rows: &Embeddings,
    log_odds: &[Option<f32>],
    problems: Vec<String>,
    hit: impl Fn(Ranked) -> T,
) -> Hits<T> {
    Hits {
        hits: ranked.into_iter().take(options.top).map(hit).collect(),
        compared: rows.len(),
        reranked: log_odds.iter().flatten().count(),
        problems,
    }
}
