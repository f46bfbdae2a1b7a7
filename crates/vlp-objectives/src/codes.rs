//! Codes of a visual dictionary, and which cells are masked.

use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_vision::{QuantisedMap, VisualDictionary};

use crate::inputs::{CellRule, Inputs};

/// What the dictionary made of a batch.
#[derive(Debug, Clone)]
pub struct Codes<'a> {
    /// Code of every cell of each picture, row-major; `None` for padding.
    pub of_cells: Vec<Vec<Option<usize>>>,
    /// (row of the joint pass, cell, code that stood there) of every masked cell.
    pub masked: Vec<(usize, usize, usize)>,
    /// The table `[codes, width]` that quantised the batch, without gradient.
    pub table: Tensor<2>,
    /// The cells before the look-up, `[images, cells, width]`.
    pub features: Tensor<3>,
    /// Rows and columns of cells.
    pub grid: [usize; 2],
    /// The dictionary itself.
    pub dictionary: &'a VisualDictionary,
}

impl<'a> Codes<'a> {
    /// Reads the codes of a quantised map (one copy to the host) and decides what is masked.
    ///
    /// `pad_mask` `[images, cells]`, true = padding.
    pub fn read(
        map: &QuantisedMap,
        pad_mask: Tensor<2, Bool>,
        inputs: &Inputs<'_>,
        dictionary: &'a VisualDictionary,
    ) -> Self {
        let [_, cells] = map.codes.dims();
        // Padding travels as -1 in the same copy.
        let codes = map.codes.clone().mask_fill(pad_mask, -1);
        let codes: Vec<i64> = codes.into_data().iter().collect();
        let of_cells: Vec<Vec<Option<usize>>> = codes
            .chunks(cells)
            .map(|row| row.iter().map(|&code| usize::try_from(code).ok()).collect())
            .collect();
        let mut masked = vec![];
        for (row, draw) in inputs.cells.iter().enumerate() {
            let Some(draw) = draw.filter(|draw| draw.keep) else {
                continue;
            };
            let image = &of_cells[inputs.image_of[row]];
            let code = match draw.rule {
                CellRule::Sample => {
                    let real: Vec<usize> = image.iter().flatten().copied().collect();
                    real.get(place(draw.at, real.len())).copied()
                }
                CellRule::Batch => image[place(draw.at, cells)],
            };
            let hits = image.iter().enumerate();
            let hits = hits.filter(|(_, own)| code.is_some() && **own == code);
            masked.extend(hits.filter_map(|(cell, own)| Some((row, cell, (*own)?))));
        }
        Self {
            of_cells,
            masked,
            table: map.table.clone(),
            features: map.features.clone(),
            grid: map.grid,
            dictionary,
        }
    }

    /// `[rows, cells]`, true where a cell of the joint pass is masked; `None` where none is.
    pub fn hidden(&self, rows: usize, device: &Device) -> Option<Tensor<2, Bool>> {
        let cells = self.of_cells.first().map_or(0, Vec::len);
        let mut hidden = vec![false; rows * cells];
        for &(row, cell, _) in &self.masked {
            hidden[row * cells + cell] = true;
        }
        let data = TensorData::new(hidden, [rows, cells]);
        (!self.masked.is_empty()).then(|| Tensor::from_data(data, device))
    }
}

/// The `at`-th part of `count` places; 0 of none.
fn place(at: f64, count: usize) -> usize {
    ((at * count as f64) as usize).min(count.saturating_sub(1))
}
