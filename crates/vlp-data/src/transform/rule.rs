use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::DataError;

/// To which size a picture is resized; data, so that a run's file says it.
///
/// ```
/// use vlp_data::{ResizeRule, rng};
/// let detr = ResizeRule::Detr { short: vec![800], max: 1333 };
/// assert_eq!(detr.target(640, 480, &mut rng(0, 0, 0, "resize")), (1066, 800));
/// let soho = ResizeRule::Soho { short: 600, max: 1000 };
/// assert_eq!(soho.target(640, 480, &mut rng(0, 0, 0, "resize")), (800, 600));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ResizeRule {
    /// DETR: the short side becomes one of `short`, drawn anew for each picture and epoch, unless the long side would be
    /// over `max`; then the short side is `round(max * short / long)`. The long side is rounded down.
    Detr {
        /// Short sides to draw from, in pixels; one alone for evaluation (800).
        short: Vec<usize>,
        /// Greatest long side in pixels (1333).
        max: usize,
    },
    /// SOHO: one factor `min(max / long, short / short side)` for both sides, each rounded to the nearest.
    Soho {
        /// Short side in pixels (600).
        short: usize,
        /// Greatest long side in pixels (1000).
        max: usize,
    },
    /// Exactly `width` x `height`, whatever the picture's shape.
    Exact {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// Exactly `side` x `side`.
    Square {
        /// Side in pixels.
        side: usize,
    },
    /// Shrunk, if need be, until the long side is `side`; the short side is rounded to the nearest.
    Within {
        /// Greatest long side in pixels.
        side: usize,
    },
    /// No change.
    Keep,
}

impl ResizeRule {
    /// Whether all sizes are at least 1 and `max` is not below `short`.
    ///
    /// # Errors
    /// [`DataError::Config`] naming the value.
    pub fn check(&self) -> Result<(), DataError> {
        let bad = |reason: String| {
            Err(DataError::Config {
                field: "resize",
                reason,
            })
        };
        let sizes = match self {
            Self::Detr { short, .. } if short.is_empty() => {
                return bad("short: no size to draw from".into());
            }
            Self::Detr { short, max } => [short.as_slice(), &[*max]].concat(),
            Self::Soho { short, max } => vec![*short, *max],
            Self::Exact { width, height } => vec![*width, *height],
            Self::Square { side } | Self::Within { side } => vec![*side],
            Self::Keep => return Ok(()),
        };
        if sizes.contains(&0) {
            return bad("a size is 0; all must be at least 1".into());
        }
        if let Self::Detr { max, .. } | Self::Soho { max, .. } = self
            && sizes.iter().any(|size| size > max)
        {
            return bad(format!("short is over max = {max}"));
        }
        Ok(())
    }

    /// Width and height after the resize, each at least 1. `rng` serves the rules that draw a size:
    /// `rng(seed, epoch, key, "resize")`.
    pub fn target(&self, width: usize, height: usize, rng: &mut impl Rng) -> (usize, usize) {
        let (width, height) = (width.max(1), height.max(1));
        let (target_width, target_height) = match self {
            Self::Detr { short, max } => match short.as_slice() {
                [] => (width, height),
                [one] => detr(width, height, *one, *max),
                many => detr(width, height, many[rng.random_range(0..many.len())], *max),
            },
            Self::Soho { short, max } => soho(width, height, *short, *max),
            Self::Exact { width, height } => (*width, *height),
            Self::Square { side } => (*side, *side),
            Self::Within { side } if width.max(height) > *side => soho(width, height, *side, *side),
            Self::Within { .. } | Self::Keep => (width, height),
        };
        (target_width.max(1), target_height.max(1))
    }
}

/// `get_size_with_aspect_ratio` of DETR's `datasets/transforms.py`, in its order of operations.
fn detr(width: usize, height: usize, mut short: usize, max: usize) -> (usize, usize) {
    let (least, most) = (width.min(height) as f64, width.max(height) as f64);
    if most / least * short as f64 > max as f64 {
        // Python rounds halves to even.
        short = (max as f64 * least / most).round_ties_even() as usize;
    }
    let long = |side: usize, other: usize| (short as f64 * side as f64 / other as f64) as usize;
    if least as usize == short {
        (width, height)
    } else if width < height {
        (short, long(height, width))
    } else {
        (long(width, height), short)
    }
}

/// mmcv's `rescale_size`: `int(side * factor + 0.5)`.
fn soho(width: usize, height: usize, short: usize, max: usize) -> (usize, usize) {
    let (least, most) = (width.min(height) as f64, width.max(height) as f64);
    let factor = (max as f64 / most).min(short as f64 / least);
    let scaled = |side: usize| (side as f64 * factor + 0.5) as usize;
    (scaled(width), scaled(height))
}
