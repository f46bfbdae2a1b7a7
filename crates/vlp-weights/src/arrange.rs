//! From a tensor as PyTorch has it to a parameter as burn has it.

use crate::map::{Rows, Source};

/// COCO's ids from 1 to 90 that name no class.
const COCO_GAPS: [usize; 10] = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83];
/// Rows of a head over all of COCO's ids, and over the classes in use: no-object is the last of both.
const COCO_IDS: usize = 92;
const COCO_CLASSES: usize = 81;

/// How a tensor of shape `found` fills a parameter of `shape`; `None` if it cannot.
pub(crate) struct Fit {
    rows: Vec<usize>,
    width: usize,
    transposed: bool,
}

/// Sides of 1 count for nothing: a 1x1 convolution is a matrix.
fn squeezed(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&side| side != 1).collect()
}

/// The parameter's shape as PyTorch would have it, and whether it differs.
fn turned(source: &Source, shape: &[usize]) -> (Vec<usize>, bool) {
    let mut sides = squeezed(shape);
    let transposed = source.transposed && sides.len() == 2;
    if transposed {
        sides.reverse();
    }
    (sides, transposed)
}

impl Fit {
    pub(crate) fn new(source: &Source, found: &[usize], shape: &[usize]) -> Option<Self> {
        let (wanted, transposed) = turned(source, shape);
        let theirs = squeezed(found);
        let (&count, rest) = wanted.split_first().unwrap_or((&1, &[]));
        let (&rows, their_rest) = theirs.split_first().unwrap_or((&1, &[]));
        if rest != their_rest {
            return None;
        }
        let rows = match source.rows {
            Rows::Part { part, of } if count.checked_mul(of) == Some(rows) && part < of => {
                (part * count..(part + 1) * count).collect()
            }
            Rows::Part { .. } => return None,
            Rows::Leading if rows >= count => (0..count).collect(),
            Rows::CocoClasses if rows == COCO_IDS && count == COCO_CLASSES => {
                (1..COCO_IDS).filter(|id| !COCO_GAPS.contains(id)).collect()
            }
            _ if rows == count => (0..count).collect(),
            _ => return None,
        };
        Some(Self {
            rows,
            width: rest.iter().product(),
            transposed,
        })
    }

    /// The parameter's values, row-major, out of the tensor's.
    pub(crate) fn arrange(&self, values: &[f32]) -> Vec<f32> {
        let (rows, width) = (&self.rows, self.width);
        if self.transposed {
            let column = |j| rows.iter().map(move |row| values[row * width + j]);
            return (0..width).flat_map(column).collect();
        }
        let row = |&row: &usize| &values[row * width..(row + 1) * width];
        rows.iter().flat_map(row).copied().collect()
    }
}

/// In words, the shapes that would fit.
pub(crate) fn expected(source: &Source, shape: &[usize]) -> String {
    let (wanted, transposed) = turned(source, shape);
    let turned = if transposed {
        ", as PyTorch keeps linear weights"
    } else {
        ""
    };
    let (&count, rest) = wanted.split_first().unwrap_or((&1, &[]));
    let of = |rows: usize| {
        let sides: Vec<_> = [rows].iter().chain(rest).map(usize::to_string).collect();
        format!("[{}]", sides.join(", "))
    };
    match source.rows {
        Rows::Part { part, of: parts } => format!(
            "part {} of {parts} of {}{turned}",
            part + 1,
            of(count.saturating_mul(parts))
        ),
        Rows::Leading => format!("{} or more rows{turned}", of(count)),
        Rows::CocoClasses if count == COCO_CLASSES => {
            format!("{} or {}{turned}", of(count), of(COCO_IDS))
        }
        _ => format!("{}{turned}", of(count)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn source(rows: Rows, transposed: bool) -> Source {
        Source {
            name: "t".into(),
            rows,
            transposed,
        }
    }

    fn arranged(source: &Source, found: &[usize], shape: &[usize]) -> Option<Vec<f32>> {
        let count: usize = found.iter().product();
        let values: Vec<f32> = (0..count).map(|i| i as f32).collect();
        Fit::new(source, found, shape).map(|fit| fit.arrange(&values))
    }

    #[test]
    fn linear_weights_are_turned_and_joint_projections_cut() {
        let linear = source(Rows::All, true);
        let expected = Some(vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(arranged(&linear, &[2, 3], &[3, 2]), expected);
        // The same out of a 1x1 convolution; a bias has nothing to turn.
        assert_eq!(arranged(&linear, &[2, 3, 1, 1], &[3, 2]), expected);
        assert_eq!(arranged(&linear, &[2], &[2]), Some(vec![0.0, 1.0]));
        assert_eq!(arranged(&linear, &[2, 3], &[2, 3]), None);
        let key = source(Rows::Part { part: 1, of: 3 }, true);
        assert_eq!(
            arranged(&key, &[6, 2], &[2, 2]),
            Some(vec![4.0, 6.0, 5.0, 7.0])
        );
        assert_eq!(arranged(&key, &[6], &[2]), Some(vec![2.0, 3.0]));
        assert_eq!(arranged(&key, &[4, 2], &[2, 2]), None);
        assert_eq!(
            super::expected(&key, &[2, 4]),
            "part 2 of 3 of [12, 2], as PyTorch keeps linear weights"
        );
    }

    #[test]
    fn rows_are_chosen() {
        let table = source(Rows::Leading, false);
        assert_eq!(
            arranged(&table, &[3, 2], &[2, 2]),
            Some(vec![0.0, 1.0, 2.0, 3.0])
        );
        assert_eq!(arranged(&table, &[2, 2], &[3, 2]), None);
        let head = source(Rows::CocoClasses, false);
        let rows = arranged(&head, &[92], &[81]).unwrap();
        // COCO's "person" is 1, "stop sign" 13 after the first gap, "toothbrush" 90, then no-object.
        assert_eq!((rows[0], rows[10], rows[11]), (1.0, 11.0, 13.0));
        assert_eq!((rows[79], rows[80], rows.len()), (90.0, 91.0, 81));
        assert_eq!(arranged(&head, &[5], &[5]).unwrap().len(), 5);
        assert_eq!(arranged(&head, &[92], &[5]), None);
        // A vector may be a table of one row; a scalar stays one.
        let plain = source(Rows::All, false);
        assert_eq!(arranged(&plain, &[1, 2], &[2]), Some(vec![0.0, 1.0]));
        assert_eq!(arranged(&plain, &[], &[1]), Some(vec![0.0]));
    }
}
