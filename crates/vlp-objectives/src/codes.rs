//! Codes of a visual dictionary, and which tokens are masked.

use burn::prelude::*;
use burn::tensor::TensorData;
use vlp_ops::to_cpu;
use vlp_vision::QuantizedMap;

use crate::inputs::{Inputs, MaskSampling};

/// The nearest codes of a batch's visual tokens.
#[derive(Debug, Clone)]
pub struct Codes {
    /// Code of every token of each image, row-major; `None` for padding.
    pub assignments: Vec<Vec<Option<usize>>>,
    /// The masked tokens.
    pub masked: Vec<MaskedToken>,
    /// The codebook `[codes, width]` that quantized the batch, without gradient.
    pub codebook: Tensor<2>,
    /// The features before quantization, `[images, tokens, width]`.
    pub features: Tensor<3>,
    /// Rows and columns of the tokens.
    pub grid: [usize; 2],
}

/// A masked visual token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskedToken {
    /// Row of the joint pass.
    pub row: usize,
    /// Position among the image's tokens.
    pub position: usize,
    /// Its code, the label.
    pub code: usize,
}

impl Codes {
    /// Reads the codes of a quantized map, with one copy to the CPU, and chooses the masked tokens.
    ///
    /// `pad_mask` is `[images, tokens]`, true = padding.
    pub fn read(map: &QuantizedMap, pad_mask: Tensor<2, Bool>, inputs: &Inputs<'_>) -> Self {
        let [_, tokens] = map.codes.dims();
        // Padding is encoded as -1, so that one copy to the CPU suffices.
        let codes = map.codes.clone().mask_fill(pad_mask, -1);
        let codes: Vec<i64> = to_cpu(codes).iter().collect();
        let assignments: Vec<Vec<Option<usize>>> = codes
            .chunks(tokens)
            .map(|row| row.iter().map(|&code| usize::try_from(code).ok()).collect())
            .collect();
        let mut masked = vec![];
        for (row, mask) in inputs.visual_masks.iter().enumerate() {
            let Some(mask) = mask.filter(|mask| mask.active) else {
                continue;
            };
            let image = &assignments[inputs.pairing.image_index()[row]];
            let code = match mask.sampling {
                MaskSampling::Sample => {
                    let codes: Vec<usize> = image.iter().flatten().copied().collect();
                    codes.get(index(mask.position, codes.len())).copied()
                }
                MaskSampling::Batch => image[index(mask.position, tokens)],
            };
            let Some(code) = code else { continue };
            let positions = (0..tokens).filter(|&position| image[position] == Some(code));
            masked.extend(positions.map(|position| MaskedToken {
                row,
                position,
                code,
            }));
        }
        Self {
            assignments,
            masked,
            codebook: map.codebook.clone(),
            features: map.features.clone(),
            grid: map.grid,
        }
    }

    /// The mask of the joint pass's image tokens, `[rows, tokens]`, true = masked; `None` if no token is.
    pub fn mask(&self, rows: usize, device: &Device) -> Option<Tensor<2, Bool>> {
        let tokens = self.assignments.first().map_or(0, Vec::len);
        let mut mask = vec![false; rows * tokens];
        for token in &self.masked {
            mask[token.row * tokens + token.position] = true;
        }
        let data = TensorData::new(mask, [rows, tokens]);
        (!self.masked.is_empty()).then(|| Tensor::from_data(data, device))
    }
}

/// The index at a fraction of `count`; 0 if `count` is 0.
fn index(fraction: f64, count: usize) -> usize {
    ((fraction * count as f64) as usize).min(count.saturating_sub(1))
}
