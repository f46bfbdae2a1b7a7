//! Two-stage retrieval: candidates by one similarity, reranked by another.

/// Scores of all pairs of images and texts.
#[derive(Debug, Clone)]
pub(super) struct PairScores {
    /// Row-major, `[images, texts]`.
    pub(super) values: Vec<f32>,
    pub(super) images: usize,
    pub(super) texts: usize,
}

/// Which side of the pairs is the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Query {
    Image,
    Text,
}

impl PairScores {
    /// The scores `rows` of each image with its `candidates` among `texts` texts; NaN for other pairs.
    pub(super) fn of_candidates(
        candidates: &[Vec<usize>],
        rows: &[Vec<f32>],
        texts: usize,
    ) -> Self {
        let images = candidates.len();
        let mut values = vec![f32::NAN; images * texts];
        for (image, (candidates, scores)) in candidates.iter().zip(rows).enumerate() {
            for (text, score) in candidates.iter().zip(scores) {
                values[image * texts + text] = *score;
            }
        }
        Self {
            values,
            images,
            texts,
        }
    }

    fn queries(&self, query: Query) -> usize {
        match query {
            Query::Image => self.images,
            Query::Text => self.texts,
        }
    }

    /// Index of the pair of a query and an item of the other side.
    fn index(&self, query: Query, number: usize, item: usize) -> usize {
        match query {
            Query::Image => number * self.texts + item,
            Query::Text => item * self.texts + number,
        }
    }

    /// Items with the `count` greatest scores for a query, best first; of equal ones the first.
    fn top(&self, query: Query, number: usize, count: usize) -> Vec<usize> {
        let items = match query {
            Query::Image => self.texts,
            Query::Text => self.images,
        };
        let score = |item: usize| self.values[self.index(query, number, item)];
        let mut order: Vec<usize> = (0..items).collect();
        order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
        order.truncate(count);
        order
    }

    /// For each image the texts that are among its `count` best or have it among theirs, ascending.
    pub(super) fn candidates(&self, count: usize) -> Vec<Vec<usize>> {
        let images = 0..self.images;
        let mut candidates: Vec<Vec<usize>> = images
            .map(|image| self.top(Query::Image, image, count))
            .collect();
        for text in 0..self.texts {
            for image in self.top(Query::Text, text, count) {
                candidates[image].push(text);
            }
        }
        for texts in &mut candidates {
            texts.sort_unstable();
            texts.dedup();
        }
        candidates
    }

    /// Scores by which the `count` best items of each query come first, in the order of `margins`, and the others stay in
    /// their order behind them.
    pub(super) fn rerank(&self, margins: &[f32], query: Query, count: usize) -> Self {
        let mut reranked = self.clone();
        for number in 0..self.queries(query) {
            let top = self.top(query, number, count);
            let indices: Vec<usize> = (top.into_iter())
                .map(|item| self.index(query, number, item))
                .collect();
            let mut sorted: Vec<f32> = indices.iter().map(|&index| margins[index]).collect();
            sorted.sort_by(f32::total_cmp);
            sorted.dedup();
            for index in indices {
                // Ranks are exact, keep equal margins equal, and exceed every cosine similarity.
                let rank = sorted.partition_point(|&margin| margin < margins[index]);
                reranked.values[index] = 2.0 + rank as f32;
            }
        }
        reranked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reranked_candidates_come_first_and_others_keep_their_order() {
        let similarities = PairScores {
            values: vec![0.9, 0.8, 0.1, 0.2, 0.3, 0.4],
            images: 2,
            texts: 3,
        };
        assert_eq!(similarities.candidates(1), [vec![0, 1], vec![2]]);
        let all = [vec![0, 1, 2], vec![0, 1, 2]];
        assert_eq!(similarities.candidates(2), all);
        let margins = [-1.0, 5.0, 3.0, 0.0, 7.0, 7.0];
        // The two best texts of each image by margin; the third keeps its similarity.
        let by_image = similarities.rerank(&margins, Query::Image, 2);
        assert_eq!(by_image.values, [2.0, 3.0, 0.1, 0.2, 2.0, 2.0]);
        // The best image of each text.
        let by_text = similarities.rerank(&margins, Query::Text, 1);
        assert_eq!(by_text.values, [2.0, 2.0, 0.1, 0.2, 0.3, 2.0]);
    }
}
