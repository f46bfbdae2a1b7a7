//! Which code each cell of held-out pictures takes, and how near it is.

use std::collections::{BTreeMap, BTreeSet};

use burn::prelude::*;
use vlp_data::Example;
use vlp_objectives::{Batcher, Inputs, Needs};
use vlp_transformer::TextBatch;

use crate::error::VlpError;
use crate::trained::System;

/// One cell with its distance to its code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellSeen {
    /// Number of the picture.
    pub picture: usize,
    /// Number of the cell, row-major.
    pub cell: usize,
    /// Squared distance of its feature to the row of the table.
    pub distance: f32,
}

/// Codes of all cells.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Cells that took each code.
    pub counts: Vec<u64>,
    /// Rows and columns of each picture.
    pub grids: Vec<[usize; 2]>,
    /// Code of each cell of each picture.
    pub codes: Vec<Vec<Option<usize>>>,
    cells: BTreeMap<usize, Vec<CellSeen>>,
}

impl Survey {
    /// Runs trunk and dictionary over the pictures, one at a time: nothing is padded to another's size.
    pub fn new(
        system: &System,
        codes: usize,
        examples: &[Example],
        batcher: &Batcher<'_>,
        device: &Device,
    ) -> Result<Self, VlpError> {
        let mut survey = Self {
            counts: vec![0; codes],
            grids: vec![],
            codes: vec![],
            cells: BTreeMap::new(),
        };
        let text = TextBatch::pack(&[&[]], batcher.pieces.special().pad, device);
        for (picture, example) in examples.iter().enumerate() {
            let images = batcher.picture(example, device)?;
            let inputs = Inputs {
                images: &images,
                text: &text,
                image_of: &[0],
                cells: &[],
            };
            let encoded = system.encode(&inputs, Needs::default())?;
            let found = encoded.codes("dictionary")?;
            let taken = &found.of_cells[0];
            let [_, count, width] = found.features.dims();
            let features = found.features.clone().reshape([count, width]);
            let rows: Vec<i32> = taken.iter().map(|c| c.unwrap_or(0) as i32).collect();
            let rows = Tensor::<1, Int>::from_ints(rows.as_slice(), device);
            let gap = features - found.table.clone().select(0, rows);
            let distances: Vec<f32> = gap.square().sum_dim(1).into_data().iter().collect();
            for (cell, (code, distance)) in taken.iter().zip(distances).enumerate() {
                let Some(code) = *code else { continue };
                survey.counts[code] += 1;
                let seen = CellSeen {
                    picture,
                    cell,
                    distance,
                };
                survey.cells.entry(code).or_default().push(seen);
            }
            survey.grids.push(found.grid);
            survey.codes.push(taken.clone());
        }
        for cells in survey.cells.values_mut() {
            cells.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        }
        Ok(survey)
    }

    /// The cells nearest to a code, one a picture, nearest first.
    pub fn typical(&self, code: usize, most: usize) -> impl Iterator<Item = CellSeen> + '_ {
        let mut seen = BTreeSet::new();
        let cells = self.cells.get(&code).into_iter().flatten();
        cells
            .filter(move |cell| seen.insert(cell.picture))
            .take(most)
            .copied()
    }

    /// For each code the words of captions of pictures that show it, with their pointwise mutual information in
    /// nats, strongest first; words of fewer than `least` pictures, or beside the code less than twice, are left out.
    pub fn words(&self, examples: &[Example], least: usize) -> Vec<Vec<(String, f64)>> {
        let texts: Vec<BTreeSet<String>> = examples.iter().map(words_of).collect();
        let mut word_count = BTreeMap::<&str, usize>::new();
        for word in texts.iter().flatten() {
            *word_count.entry(word).or_default() += 1;
        }
        let total = examples.len() as f64;
        let of_code = |code: usize| {
            let cells = self.cells.get(&code).into_iter().flatten();
            let pictures: BTreeSet<usize> = cells.map(|cell| cell.picture).collect();
            let mut both = BTreeMap::<&str, usize>::new();
            for word in pictures.iter().flat_map(|&p| &texts[p]) {
                *both.entry(word).or_default() += 1;
            }
            let mut found: Vec<(String, f64)> = both
                .into_iter()
                .filter(|&(word, count)| count >= 2 && word_count[word] >= least)
                .map(|(word, count)| {
                    let expected = word_count[word] as f64 * pictures.len() as f64 / total;
                    (word.to_string(), (count as f64 / expected).ln())
                })
                .filter(|(_, pmi)| *pmi > 0.0)
                .collect();
            found.sort_by(|a, b| b.1.total_cmp(&a.1));
            found
        };
        (0..self.counts.len()).map(of_code).collect()
    }
}

/// Distinct lower-case words of a picture's captions.
fn words_of(example: &Example) -> BTreeSet<String> {
    let text = example.captions.join(" ").to_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|w| !w.is_empty())
        .map(str::to_string)
        .collect()
}
