//! Codes of a visual dictionary, and which tokens are masked.

use std::sync::OnceLock;

use burn::prelude::*;
use vlp_ops::to_cpu;
use vlp_vision::QuantizedMap;

use crate::inputs::Inputs;

/// The nearest codes of a batch's visual tokens. They stay on the device until [`Self::assignments`] or [`Self::masked`] reads
/// them.
#[derive(Debug, Clone)]
pub struct Codes {
    /// Code of every token of each image, -1 for padding, `[images, tokens]`.
    codes: Tensor<2, Int>,
    /// Code of every masked token of each row of the joint pass, -1 for the others, `[rows, tokens]`; `None` if nothing is
    /// masked.
    labels: Option<Tensor<2, Int>>,
    values: OnceLock<CodeValues>,
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

/// Codes on the CPU.
#[derive(Debug, Clone)]
struct CodeValues {
    assignments: Vec<Vec<Option<usize>>>,
    masked: Vec<MaskedToken>,
}

impl Codes {
    /// The codes of a quantized map, of which `inputs` says what is masked.
    ///
    /// `pad_mask` is `[images, tokens]`, true = padding.
    pub fn new(map: &QuantizedMap, pad_mask: Tensor<2, Bool>, inputs: &Inputs<'_>) -> Self {
        let codes = map.codes.clone().mask_fill(pad_mask, -1);
        let labels = inputs
            .visual_masks
            .map(|masks| masks.labels(inputs.pairing.gather_per_text(codes.clone())));
        Self {
            codes,
            labels,
            values: OnceLock::new(),
            codebook: map.codebook.clone(),
            features: map.features.clone(),
            grid: map.grid,
        }
    }

    /// Code of every token of each image, row-major; `None` for padding. Copies the codes to the CPU, once.
    pub fn assignments(&self) -> &[Vec<Option<usize>>] {
        &self.values().assignments
    }

    /// The masked tokens. Copies the codes to the CPU, once.
    pub fn masked(&self) -> &[MaskedToken] {
        &self.values().masked
    }

    /// The mask of the joint pass's image tokens, `[rows, tokens]`, true = masked; `None` if no token is sampled. It masks
    /// nothing if the sampled tokens are all padding: the mask vector then has a gradient of zero.
    pub fn mask(&self) -> Option<Tensor<2, Bool>> {
        Some(self.labels.clone()?.greater_equal_elem(0))
    }

    /// Code of every masked token, -1 for the others, `[rows, tokens]`; `None` if nothing is masked.
    pub(crate) fn labels(&self) -> Option<Tensor<2, Int>> {
        self.labels.clone()
    }

    fn values(&self) -> &CodeValues {
        self.values.get_or_init(|| {
            let [images, tokens] = self.codes.dims();
            let labels = self.labels.iter();
            let rows = std::iter::once(&self.codes).chain(labels).cloned();
            let rows: Vec<i64> = to_cpu(Tensor::cat(rows.collect(), 0)).iter().collect();
            let rows = rows.chunks(tokens.max(1));
            let code = |&code: &i64| usize::try_from(code).ok();
            let assignments = rows.clone().take(images);
            let assignments = assignments.map(|row| row.iter().map(code).collect());
            let masked = rows.skip(images).enumerate().flat_map(|(row, labels)| {
                let labels = labels.iter().enumerate();
                labels.filter_map(move |(position, label)| {
                    code(label).map(|code| MaskedToken {
                        row,
                        position,
                        code,
                    })
                })
            });
            CodeValues {
                assignments: assignments.collect(),
                masked: masked.collect(),
            }
        })
    }
}
