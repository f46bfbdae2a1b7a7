//! What a search gives.

use serde::Serialize;

/// How a search is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchOptions {
    /// Hits that are returned.
    pub top: usize,
    /// Of the best hits by similarity, how many are re-ranked by the matching head; 0 = none.
    pub rerank: usize,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            top: 10,
            rerank: 32,
        }
    }
}

/// The hits of a search, the best first: those that the matching head has read by its score, the others behind them by
/// similarity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hits<T> {
    /// The best hits.
    pub hits: Vec<T>,
    /// Images or texts that the query was compared with.
    pub compared: usize,
    /// Those of them that the matching head has read.
    pub reranked: usize,
    /// Messages about images that it should have read and that cannot be read.
    pub problems: Vec<String>,
}
