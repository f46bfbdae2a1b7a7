use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::{DataError, decode::MAX_SIDE};

/// The target size of images.
///
/// ```
/// use vlp_data::{ResizeRule, rng};
/// let detr = ResizeRule::Detr { short: vec![800], max: 1333 };
/// assert_eq!(detr.target_size(640, 480, &mut rng(0, 0, 0, "resize")), (1066, 800));
/// let soho = ResizeRule::Soho { short: 600, max: 1000 };
/// assert_eq!(soho.target_size(640, 480, &mut rng(0, 0, 0, "resize")), (800, 600));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ResizeRule {
    /// DETR: the short side becomes a random one of `short` per image and epoch. If the long side would exceed `max`, the
    /// short side is `round(max * short / long)` instead. The long side is rounded down.
    Detr {
        /// Short sides to choose from, in pixels; a single one for evaluation (800).
        short: Vec<usize>,
        /// Maximum long side in pixels (1333).
        max: usize,
    },
    /// SOHO: both sides are scaled by `min(max / long side, short / short side)` and rounded to the nearest integer.
    Soho {
        /// Short side in pixels (600).
        short: usize,
        /// Maximum long side in pixels (1000).
        max: usize,
    },
    /// Exactly `width` x `height`; the aspect ratio may change.
    Exact {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// Exactly `side` x `side`; the aspect ratio may change.
    Square {
        /// Side in pixels.
        side: usize,
    },
    /// Images larger than `side` are shrunk to a long side of `side`; the short side is rounded to the nearest integer.
    Within {
        /// Maximum long side in pixels.
        side: usize,
    },
    /// No resize.
    Keep,
}

impl ResizeRule {
    /// Checks that all sizes are from 1 to 16,384 and `max` is not below `short`.
    ///
    /// # Errors
    /// [`DataError::Config`] naming the value.
    pub fn check(&self) -> Result<(), DataError> {
        let config_error = |reason: String| {
            Err(DataError::Config {
                field: "resize",
                reason,
            })
        };
        let sizes = match self {
            Self::Detr { short, .. } if short.is_empty() => {
                return config_error("short: it must have at least one size".into());
            }
            Self::Detr { short, max } => [short.as_slice(), &[*max]].concat(),
            Self::Soho { short, max } => vec![*short, *max],
            Self::Exact { width, height } => vec![*width, *height],
            Self::Square { side } | Self::Within { side } => vec![*side],
            Self::Keep => return Ok(()),
        };
        if let Some(size) = sizes.iter().find(|&&size| size > MAX_SIDE) {
            return config_error(format!("{size}; sizes must be at most {MAX_SIDE}"));
        }
        if sizes.contains(&0) {
            return config_error("a size is 0; all must be at least 1".into());
        }
        if let Self::Detr { max, .. } | Self::Soho { max, .. } = self
            && sizes.iter().any(|size| size > max)
        {
            return config_error(format!("short must not exceed max = {max}"));
        }
        Ok(())
    }

    /// Width and height after the resize, each at least 1. `rng`, which is `rng(seed, epoch, key, "resize")`, chooses random sizes.
    pub fn target_size(&self, width: usize, height: usize, rng: &mut impl Rng) -> (usize, usize) {
        let (width, height) = (width.max(1), height.max(1));
        let (target_width, target_height) = match self {
            Self::Detr { short, max } => match short.as_slice() {
                [] => (width, height),
                [short] => detr_size(width, height, *short, *max),
                sides => {
                    let short = sides[rng.random_range(0..sides.len())];
                    detr_size(width, height, short, *max)
                }
            },
            Self::Soho { short, max } => soho_size(width, height, *short, *max),
            Self::Exact { width, height } => (*width, *height),
            Self::Square { side } => (*side, *side),
            Self::Within { side } if width.max(height) > *side => {
                soho_size(width, height, *side, *side)
            }
            Self::Within { .. } | Self::Keep => (width, height),
        };
        (target_width.max(1), target_height.max(1))
    }
}

/// `get_size_with_aspect_ratio` of DETR's `datasets/transforms.py`, in its order of operations.
fn detr_size(width: usize, height: usize, mut short: usize, max: usize) -> (usize, usize) {
    let (short_side, long_side) = (width.min(height) as f64, width.max(height) as f64);
    if long_side / short_side * short as f64 > max as f64 {
        // Python's `round` rounds half to even.
        short = (max as f64 * short_side / long_side).round_ties_even() as usize;
    }
    let long = |side: usize, other: usize| (short as f64 * side as f64 / other as f64) as usize;
    if short_side as usize == short {
        (width, height)
    } else if width < height {
        (short, long(height, width))
    } else {
        (long(width, height), short)
    }
}

/// mmcv's `rescale_size`: `int(side * factor + 0.5)`.
fn soho_size(width: usize, height: usize, short: usize, max: usize) -> (usize, usize) {
    let (short_side, long_side) = (width.min(height) as f64, width.max(height) as f64);
    let factor = (max as f64 / long_side).min(short as f64 / short_side);
    let scaled = |side: usize| (side as f64 * factor + 0.5) as usize;
    (scaled(width), scaled(height))
}
