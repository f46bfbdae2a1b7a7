//! Attention maps: weights of words and of object queries over the image.

use burn::prelude::*;
use serde::Serialize;
use vlp_text::WordPieceTokenizer;

use super::outputs::Object;

/// Attention weights of a word or an object query over the grid of an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AttentionMap {
    /// `object`, `caption`, or the question or text that contains the word.
    pub source: String,
    /// The class of the object, or the word.
    pub query: String,
    /// Rows of the grid.
    pub rows: usize,
    /// Columns of the grid.
    pub columns: usize,
    /// `rows * columns` weights, row-major, at least 0: mean over the heads of the last layer.
    pub weights: Vec<f32>,
}

/// The part of a padded batch's grid that an image covers: the upper left corner.
#[derive(Debug, Clone, Copy)]
pub(super) struct ImageGrid {
    /// Columns of the batch's grid.
    width: usize,
    rows: usize,
    columns: usize,
}

impl ImageGrid {
    /// From the padding mask of the batch's grid, row-major, `width` columns.
    pub(super) fn new(padding: &[bool], width: usize) -> Self {
        let first_row = padding.iter().take(width);
        let first_column = padding.iter().step_by(width.max(1));
        Self {
            width,
            rows: first_column.filter(|padding| !**padding).count(),
            columns: first_row.filter(|padding| !**padding).count(),
        }
    }

    /// Rows and columns.
    pub(super) fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The values at the grid positions that the image covers, row-major, from those of the batch's grid.
    pub(super) fn cells<T: Copy>(&self, values: &[T]) -> Vec<T> {
        let rows = values.chunks(self.width.max(1)).take(self.rows);
        rows.flat_map(|row| row.iter().take(self.columns).copied())
            .collect()
    }

    /// The map of one query, from its weights on the batch's grid.
    fn crop(&self, source: &str, query: String, weights: &[f32]) -> AttentionMap {
        AttentionMap {
            source: source.into(),
            query,
            rows: self.rows,
            columns: self.columns,
            weights: self.cells(weights),
        }
    }

    /// Maps of objects.
    pub(super) fn object_maps(
        &self,
        objects: &[Object],
        weights: &QueryWeights,
    ) -> Vec<AttentionMap> {
        let objects = objects.iter();
        objects
            .map(|object| self.crop("object", object.class.clone(), weights.row(object.query)))
            .collect()
    }

    /// Maps of the words of `ids`; the weights of the token at position `p` are in row `p - shift`. Tokens of one word are
    /// averaged; special tokens have no map.
    pub(super) fn word_maps(
        &self,
        source: &str,
        ids: &[u32],
        shift: usize,
        weights: &QueryWeights,
        tokenizer: &WordPieceTokenizer,
    ) -> Vec<AttentionMap> {
        let mut words: Vec<(String, Vec<usize>)> = vec![];
        for (position, &id) in ids.iter().enumerate().skip(shift) {
            if tokenizer.special_tokens().contains(id) {
                continue;
            }
            let token = tokenizer.token(id).unwrap_or_default();
            match (token.strip_prefix("##"), words.last_mut()) {
                (Some(suffix), Some((word, rows))) => {
                    word.push_str(suffix);
                    rows.push(position - shift);
                }
                _ => words.push((token.into(), vec![position - shift])),
            }
        }
        let maps = words.into_iter().map(|(word, rows)| {
            let mut mean = vec![0.0; weights.columns];
            for &row in &rows {
                for (mean, weight) in mean.iter_mut().zip(weights.row(row)) {
                    *mean += weight / rows.len() as f32;
                }
            }
            self.crop(source, word, &mean)
        });
        maps.collect()
    }
}

/// Attention weights of the queries of one image or text, on the CPU.
#[derive(Debug)]
pub(super) struct QueryWeights {
    values: Vec<f32>,
    columns: usize,
}

impl QueryWeights {
    /// Row `index` of `weights`.
    ///
    /// # Shapes
    /// - `weights`: `[batch, queries, grid features]`
    pub(super) fn read(weights: &Tensor<3>, index: usize) -> Self {
        let [_, _, columns] = weights.dims();
        let row = weights.clone().slice(s![index..index + 1]);
        Self {
            values: row.into_data().iter().collect(),
            columns,
        }
    }

    pub(super) fn row(&self, query: usize) -> &[f32] {
        let start = query * self.columns;
        self.values
            .get(start..start + self.columns)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn padding_is_cropped_and_tokens_of_a_word_are_averaged() {
        // A grid of 2 x 3 of which the image covers 2 x 2.
        let grid = ImageGrid::new(&[false, false, true, false, false, true], 3);
        let weights = QueryWeights {
            values: (0..12).map(|v| v as f32).collect(),
            columns: 6,
        };
        let object = Object {
            query: 1,
            class: "box".into(),
            score: 1.0,
            bbox: [0.0; 4],
            attributes: vec![],
        };
        let maps = grid.object_maps(&[object], &weights);
        assert_eq!((maps[0].rows, maps[0].columns), (2, 2));
        assert_eq!(maps[0].weights, [6.0, 7.0, 9.0, 10.0]);

        let tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "##s"];
        let tokenizer = WordPieceTokenizer::from_tokens(tokens).unwrap();
        let maps = grid.word_maps("caption", &[2, 5, 6, 3], 1, &weights, &tokenizer);
        assert_eq!(maps.len(), 1);
        assert_eq!(maps[0].query, "cats");
        assert_eq!(maps[0].weights, [3.0, 4.0, 6.0, 7.0]);
    }
}
