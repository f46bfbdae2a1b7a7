//! `/v1/search`.

use serde::Deserialize;

use super::context::{Context, in_range};
use super::error::ApiError;
use super::image_input::ImageInput;
use super::request::{ApiRequest, Results};
use crate::engine::Task;
use crate::model::{Model, ModelError};
use crate::outputs::{Head, SearchHits, SearchInfo, SearchQuery, SearchSubject};

/// Maximum number of hits of a query.
const MAX_TOP: usize = 100;
/// Hits that the matching head puts in order by default.
const RERANK: usize = 32;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchRequest {
    model: Option<String>,
    #[serde(default)]
    images: Vec<ImageInput>,
    #[serde(default)]
    texts: Vec<String>,
    #[serde(default = "default_top")]
    top: usize,
    rerank: Option<usize>,
}

fn default_top() -> usize {
    10
}

/// A search of its own: no two are computed together.
pub(crate) struct SearchTask(SearchQuery);

impl SearchRequest {
    /// Hits of each query that the matching head puts in order.
    fn rerank(&self, context: &Context<'_>, info: &SearchInfo) -> Result<usize, ApiError> {
        let queries = self.texts.len() + self.images.len();
        let can_rerank = match self.images.as_slice() {
            [] => info.reranks_images,
            _ => info.reranks_texts,
        };
        match self.rerank {
            None if can_rerank => Ok(RERANK.min(context.config.max_texts / queries.max(1))),
            None | Some(0) => Ok(0),
            Some(count) if can_rerank => {
                context.check_pairs("rerank", queries, count)?;
                Ok(count)
            }
            Some(count) => Err(ApiError::field(
                "rerank",
                format!(
                    "{count}; the model cannot put these hits in order, as it has no objectives.itm or the images of its index \
                     cannot be read: use 0"
                ),
            )),
        }
    }
}

impl ApiRequest for SearchRequest {
    type Task = SearchTask;
    type Answer = Results<SearchHits>;
    const HEAD: Head = Head::Search;

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn tasks(self, context: &Context<'_>) -> Result<Vec<SearchTask>, ApiError> {
        let info = context.model.info();
        let search = info.search.as_ref();
        let search = search.ok_or_else(|| ApiError::missing_head(&info.name, Head::Search))?;
        let (field, message) = match (self.texts.is_empty(), self.images.is_empty()) {
            (true, true) => ("texts", "texts or images are needed"),
            (false, false) => ("images", "a request has either texts or images"),
            _ => ("", ""),
        };
        if !message.is_empty() {
            return Err(ApiError::field(field, message));
        }
        in_range("top", self.top as f64, 1.0..=MAX_TOP as f64)?;
        context.check_texts("texts", &self.texts)?;
        let rerank = self.rerank(context, search)?;
        let subjects = match self.images.as_slice() {
            [] => self.texts.into_iter().map(SearchSubject::Images).collect(),
            images => {
                let images = context.images(images)?.into_iter();
                images.map(SearchSubject::Texts).collect::<Vec<_>>()
            }
        };
        let query = |subject| {
            SearchTask(SearchQuery {
                subject,
                top: self.top,
                rerank,
            })
        };
        Ok(subjects.into_iter().map(query).collect())
    }

    fn answer(model: &str, outputs: Vec<SearchHits>) -> Results<SearchHits> {
        Results::new(model, outputs)
    }
}

impl Task for SearchTask {
    type Output = SearchHits;
    const NAME: &'static str = "search";

    fn rows(&self) -> usize {
        1 + self.0.rerank
    }

    fn joins(&self, _: &Self, _: &dyn Model) -> bool {
        false
    }

    fn run(model: &dyn Model, batch: &[&Self]) -> Result<Vec<SearchHits>, ModelError> {
        batch.iter().map(|task| model.search(&task.0)).collect()
    }
}
