//! Which visual tokens are masked: sampled on the CPU before their codes are known, and chosen on the device.

use burn::prelude::*;
use serde::{Deserialize, Serialize};

/// Positions are rounded down to multiples of 1 / `FRACTIONS`, so that integers of 32 bits choose the same token on every
/// device.
const FRACTIONS: i32 = 1 << 16;

/// How to sample the visual token whose code is masked wherever it occurs (SOHO's masked visual modeling).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskSampling {
    /// From the tokens of the image that are not padding.
    #[default]
    Sample,
    /// From all tokens of the padded grid, at one position for the whole batch, as in the released code. In images
    /// where that position is padding, nothing is masked.
    Batch,
}

/// A visual token that is sampled before the size of the grid is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VisualMask {
    /// Position as a fraction of the number of tokens, in `0..1`.
    pub position: f64,
    /// Whether anything is masked for this text.
    pub active: bool,
    /// Which tokens `position` is relative to.
    pub sampling: MaskSampling,
}

/// The sampled tokens of a batch.
#[derive(Debug, Clone)]
pub struct VisualMasks {
    /// Position of each row's token in units of 1 / [`FRACTIONS`], `[rows]`; -`FRACTIONS` where nothing is masked.
    positions: Tensor<1, Int>,
    sampling: MaskSampling,
}

impl VisualMasks {
    /// The masks of the rows of the joint pass, whose `sampling` is the same; `None` if none is active.
    pub fn new(masks: &[Option<VisualMask>], device: &Device) -> Option<Self> {
        let active = |mask: &Option<VisualMask>| mask.filter(|mask| mask.active);
        let sampling = masks.iter().find_map(active)?.sampling;
        let position = |mask: VisualMask| {
            let position = (mask.position * f64::from(FRACTIONS)) as i32;
            position.clamp(0, FRACTIONS - 1)
        };
        let positions = masks
            .iter()
            .map(|mask| active(mask).map_or(-FRACTIONS, position));
        let positions: Vec<i32> = positions.collect();
        Some(Self {
            positions: Tensor::from_ints(positions.as_slice(), device),
            sampling,
        })
    }

    /// The code of every masked token of each row, -1 for the others: masked are all tokens with the code of the sampled one.
    /// A row has at most 32767 tokens.
    ///
    /// # Shapes
    /// - `codes`: `[rows, tokens]`, -1 for padding
    /// - output: as `codes`
    pub(crate) fn labels(&self, codes: Tensor<2, Int>) -> Tensor<2, Int> {
        let shape @ [_, tokens] = codes.dims();
        let is_counted = match self.sampling {
            MaskSampling::Sample => codes.clone().greater_equal_elem(0).int(),
            MaskSampling::Batch => codes.ones_like(),
        };
        // Numbers from 1; padding may have that of the token before it. The number of a row without a mask is 0 or less, which
        // only padding has.
        let numbers = is_counted.cumsum(1);
        let count = numbers.clone().narrow(1, tokens - 1, 1);
        let index = (count * self.positions.clone().unsqueeze_dim(1)).div_scalar(FRACTIONS);
        let is_not_sampled = numbers.not_equal(index.add_scalar(1).expand(shape));
        let sampled = codes.clone().mask_fill(is_not_sampled, -1).max_dim(1);
        let is_other = codes.clone().not_equal(sampled.expand(shape));
        codes.mask_fill(is_other, -1)
    }

    /// The masks of the given rows, in the given order.
    pub(crate) fn select(&self, rows: &[usize]) -> Self {
        let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let rows = Tensor::from_ints(rows.as_slice(), &self.positions.device());
        self.with_positions(self.positions.clone().select(0, rows))
    }

    /// The tensor on which the choice depends, `[rows]`.
    pub(crate) fn positions(&self) -> Tensor<1, Int> {
        self.positions.clone()
    }

    /// The masks with other [`Self::positions`].
    pub(crate) fn with_positions(&self, positions: Tensor<1, Int>) -> Self {
        Self {
            positions,
            sampling: self.sampling,
        }
    }

    /// A number that determines everything but the [`Self::positions`].
    pub(crate) fn key(&self) -> usize {
        self.sampling as usize
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use vlp_ops::split_mix;

    use super::*;

    /// A number below `count`.
    fn random(seed: u64, index: u64, count: u64) -> u64 {
        (split_mix(seed, index) >> 20) % count
    }

    /// Labels of one row, one token after another.
    fn expected(codes: &[i64], mask: Option<VisualMask>) -> Vec<i64> {
        let sampled = mask.filter(|mask| mask.active).and_then(|mask| {
            let counted = codes.iter().filter(|code| match mask.sampling {
                MaskSampling::Sample => **code >= 0,
                MaskSampling::Batch => true,
            });
            let counted: Vec<i64> = counted.copied().collect();
            let fraction = (mask.position * 65536.0).floor() as usize;
            counted.get((fraction * counted.len()) >> 16).copied()
        });
        let label = |&code: &i64| match Some(code) == sampled {
            true => code,
            false => -1,
        };
        codes.iter().map(label).collect()
    }

    #[test]
    fn labels_are_those_of_a_search() {
        let device = Device::flex();
        for seed in 0..200 {
            let [rows, tokens] = [1 + random(seed, 0, 5), 1 + random(seed, 1, 30)];
            let sampling = match seed % 2 {
                0 => MaskSampling::Sample,
                _ => MaskSampling::Batch,
            };
            let codes = (0..rows * tokens).map(|i| random(seed, 10 + i, 5) as i64 - 1);
            let codes: Vec<i64> = codes.collect();
            let mask = |row| VisualMask {
                position: random(seed, 1000 + row, 1000) as f64 / 1000.0,
                active: random(seed, 2000 + row, 3) > 0,
                sampling,
            };
            let masks = (0..rows).map(|row| (random(seed, 3000 + row, 9) > 0).then(|| mask(row)));
            let masks: Vec<Option<VisualMask>> = masks.collect();
            let rows = codes.chunks(tokens as usize).zip(&masks);
            let expected: Vec<i64> = rows
                .flat_map(|(codes, mask)| expected(codes, *mask))
                .collect();
            let Some(batch) = VisualMasks::new(&masks, &device) else {
                assert!(expected.iter().all(|label| *label == -1));
                continue;
            };
            let shape = [masks.len(), tokens as usize];
            let codes = Tensor::<1, Int>::from_data(codes.as_slice(), &device).reshape(shape);
            let labels: Vec<i64> = batch.labels(codes).into_data().iter().collect();
            assert_eq!(labels, expected, "{seed}");
        }
    }

    #[test]
    fn every_token_is_sampled_about_equally_often() {
        let device = Device::flex();
        let masks = (0..1000).map(|i| {
            Some(VisualMask {
                position: f64::from(i) / 1000.0,
                active: true,
                sampling: MaskSampling::Sample,
            })
        });
        let masks: Vec<Option<VisualMask>> = masks.collect();
        let codes = Tensor::<2, Int>::from_data([[7, -1, 5, 6, -1, 4, 8]], &device);
        let codes = codes.expand([1000, 7]);
        let labels = VisualMasks::new(&masks, &device).unwrap().labels(codes);
        for code in 4..9 {
            let count = labels.clone().equal_elem(code).int().sum();
            let count = count.into_scalar::<i64>();
            // 200, but for the fractions at the ends of an interval.
            assert!((199..=201).contains(&count), "{code}: {count}");
        }
    }
}
