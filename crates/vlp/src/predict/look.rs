//! Where a model looks: a word over the picture, the query of a box.

use burn::prelude::*;
use serde::Serialize;
use vlp_text::WordPieces;

/// Weights over the cells of a picture.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Look {
    /// `object`, `caption`, or the question or text that the word is of.
    pub part: String,
    /// What looks: the class of an object, or a word.
    pub of: String,
    /// Cells from top to bottom.
    pub rows: usize,
    /// Cells from left to right.
    pub columns: usize,
    /// `rows * columns` weights, row by row, 0 or more: mean over the heads of the last layer.
    pub weights: Vec<f32>,
}

/// The cells of one picture of a padded batch.
pub(super) struct Cells {
    width: usize,
    rows: usize,
    columns: usize,
}

impl Cells {
    /// `hidden` says which cells of a grid of this width are padding; the picture lies in the upper left corner.
    pub(super) fn new(hidden: &[bool], width: usize) -> Self {
        let columns = hidden.iter().take(width).filter(|h| !**h).count();
        let rows = hidden.iter().step_by(width.max(1)).filter(|h| !**h).count();
        Self {
            width,
            rows,
            columns,
        }
    }

    /// The weights of one query on all cells of the batch's grid.
    fn look(&self, part: &str, of: String, weights: &[f32]) -> Look {
        let kept = weights.chunks(self.width.max(1)).take(self.rows);
        Look {
            part: part.into(),
            of,
            rows: self.rows,
            columns: self.columns,
            weights: kept
                .flat_map(|row| row.iter().take(self.columns).copied())
                .collect(),
        }
    }

    /// Rows of `weights` `[queries, cells]` by the name of their query.
    pub(super) fn looks(&self, named: &[(String, usize)], weights: &Host) -> Vec<Look> {
        let look = |(of, row): &(String, usize)| self.look("object", of.clone(), weights.row(*row));
        named.iter().map(look).collect()
    }

    /// One look for each word of `ids`, whose piece at place `p` has its weights in row `p - before`; the pieces of a word
    /// are averaged. `[CLS]`, `[SEP]` and padding are no words.
    pub(super) fn words(
        &self,
        part: &str,
        ids: &[u32],
        before: usize,
        weights: &Host,
        pieces: &WordPieces,
    ) -> Vec<Look> {
        let mut words: Vec<(String, Vec<usize>)> = vec![];
        for (place, &id) in ids.iter().enumerate().skip(before) {
            if pieces.special().contains(id) {
                continue;
            }
            let piece = pieces.piece(id).unwrap_or_default();
            match (piece.strip_prefix("##"), words.last_mut()) {
                (Some(rest), Some((word, places))) => {
                    word.push_str(rest);
                    places.push(place - before);
                }
                _ => words.push((piece.into(), vec![place - before])),
            }
        }
        let look = |(word, places): (String, Vec<usize>)| {
            let mut mean = vec![0.0; weights.cells];
            for &place in &places {
                for (mean, weight) in mean.iter_mut().zip(weights.row(place)) {
                    *mean += weight / places.len() as f32;
                }
            }
            self.look(part, word, &mean)
        };
        words.into_iter().map(look).collect()
    }
}

/// Weights of one picture's or text's queries on the host.
pub(super) struct Host {
    values: Vec<f32>,
    cells: usize,
}

impl Host {
    /// Row `row` of `weights` `[rows, queries, cells]`.
    pub(super) fn of(weights: &Tensor<3>, row: usize) -> Self {
        let cells = weights.dims()[2];
        let own = weights.clone().slice(s![row..row + 1]);
        Self {
            values: own.into_data().iter().collect(),
            cells,
        }
    }

    fn row(&self, query: usize) -> &[f32] {
        let from = query * self.cells;
        self.values.get(from..from + self.cells).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn padding_is_cut_off_and_pieces_make_words() {
        // A grid of 2 x 3 of which the picture covers 2 x 2.
        let cells = Cells::new(&[false, false, true, false, false, true], 3);
        let values = (0..12).map(|v| v as f32).collect();
        let weights = Host { values, cells: 6 };
        let named = [("box".to_string(), 1)];
        let found = cells.looks(&named, &weights);
        assert_eq!((found[0].rows, found[0].columns), (2, 2));
        assert_eq!(found[0].weights, [6.0, 7.0, 9.0, 10.0]);

        let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "##s"];
        let pieces = WordPieces::from_words(words).unwrap();
        let ids = [2, 5, 6, 3];
        let found = cells.words("caption", &ids, 1, &weights, &pieces);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].of, "cats");
        assert_eq!(found[0].weights, [3.0, 4.0, 6.0, 7.0]);
    }
}
