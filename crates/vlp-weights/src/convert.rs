//! Conversion of a PyTorch tensor to a burn parameter: selection of rows and transposition.

use crate::layout::{Rows, TensorSource};

/// COCO ids from 1 to 90 that are not in use.
const UNUSED_COCO_IDS: [usize; 10] = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83];
/// Rows of DETR's class head: COCO ids 0 to 90 and no-object.
const COCO_IDS: usize = 92;
/// The 80 COCO classes and no-object.
const COCO_CLASSES: usize = 81;

/// How a parameter is filled from a tensor.
pub(crate) struct Conversion {
    rows: Vec<usize>,
    /// Values per row.
    width: usize,
    transposed: bool,
}

/// The shape without sides of 1: a 1x1 convolution is a matrix.
fn squeezed(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&side| side != 1).collect()
}

/// The parameter's squeezed shape in PyTorch's order, and whether it is transposed.
fn pytorch_shape(source: &TensorSource, shape: &[usize]) -> (Vec<usize>, bool) {
    let mut sides = squeezed(shape);
    let transposed = source.transposed && sides.len() == 2;
    if transposed {
        sides.reverse();
    }
    (sides, transposed)
}

impl Conversion {
    /// `None` if the shapes do not match.
    pub(crate) fn new(
        source: &TensorSource,
        tensor_shape: &[usize],
        parameter_shape: &[usize],
    ) -> Option<Self> {
        let (parameter, transposed) = pytorch_shape(source, parameter_shape);
        let tensor = squeezed(tensor_shape);
        let (&count, row_shape) = parameter.split_first().unwrap_or((&1, &[]));
        let (&tensor_rows, tensor_row_shape) = tensor.split_first().unwrap_or((&1, &[]));
        if row_shape != tensor_row_shape {
            return None;
        }
        let rows = match source.rows {
            Rows::Chunk {
                index,
                count: chunks,
            } if count.checked_mul(chunks) == Some(tensor_rows) && index < chunks => {
                (index * count..(index + 1) * count).collect()
            }
            Rows::Chunk { .. } => return None,
            Rows::Leading if tensor_rows >= count => (0..count).collect(),
            Rows::CocoClasses if tensor_rows == COCO_IDS && count == COCO_CLASSES => (1..COCO_IDS)
                .filter(|id| !UNUSED_COCO_IDS.contains(id))
                .collect(),
            _ if tensor_rows == count => (0..count).collect(),
            _ => return None,
        };
        Some(Self {
            rows,
            width: row_shape.iter().product(),
            transposed,
        })
    }

    /// The parameter's values from the tensor's, both row-major.
    pub(crate) fn apply(&self, values: &[f32]) -> Vec<f32> {
        let (rows, width) = (&self.rows, self.width);
        if self.transposed {
            let column = |j| rows.iter().map(move |row| values[row * width + j]);
            return (0..width).flat_map(column).collect();
        }
        let row = |&row: &usize| &values[row * width..(row + 1) * width];
        rows.iter().flat_map(row).copied().collect()
    }
}

/// Describes the tensor shapes that a parameter accepts.
pub(crate) fn expected_shape(source: &TensorSource, parameter_shape: &[usize]) -> String {
    let (parameter, transposed) = pytorch_shape(source, parameter_shape);
    let note = if transposed {
        ", transposed as PyTorch stores linear weights"
    } else {
        ""
    };
    let (&count, row_shape) = parameter.split_first().unwrap_or((&1, &[]));
    let with_rows = |rows: usize| {
        let sides: Vec<_> = [rows]
            .iter()
            .chain(row_shape)
            .map(usize::to_string)
            .collect();
        format!("[{}]", sides.join(", "))
    };
    match source.rows {
        Rows::Chunk {
            index,
            count: chunks,
        } => format!(
            "chunk {} of {chunks} of {}{note}",
            index + 1,
            with_rows(count.saturating_mul(chunks))
        ),
        Rows::Leading => format!("{} or more rows{note}", with_rows(count)),
        Rows::CocoClasses if count == COCO_CLASSES => {
            format!("{} or {}{note}", with_rows(count), with_rows(COCO_IDS))
        }
        _ => format!("{}{note}", with_rows(count)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn source(rows: Rows, transposed: bool) -> TensorSource {
        TensorSource {
            name: "t".into(),
            rows,
            transposed,
        }
    }

    /// Converts a tensor of the values 0, 1, 2, ...
    fn convert(source: &TensorSource, tensor: &[usize], parameter: &[usize]) -> Option<Vec<f32>> {
        let count: usize = tensor.iter().product();
        let values: Vec<f32> = (0..count).map(|i| i as f32).collect();
        Conversion::new(source, tensor, parameter).map(|conversion| conversion.apply(&values))
    }

    #[test]
    fn linear_weights_are_transposed_and_joint_projections_split() {
        let linear = source(Rows::All, true);
        let expected = Some(vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(convert(&linear, &[2, 3], &[3, 2]), expected);
        // Also from a 1x1 convolution. A bias is not transposed.
        assert_eq!(convert(&linear, &[2, 3, 1, 1], &[3, 2]), expected);
        assert_eq!(convert(&linear, &[2], &[2]), Some(vec![0.0, 1.0]));
        assert_eq!(convert(&linear, &[2, 3], &[2, 3]), None);
        let key = source(Rows::Chunk { index: 1, count: 3 }, true);
        assert_eq!(
            convert(&key, &[6, 2], &[2, 2]),
            Some(vec![4.0, 6.0, 5.0, 7.0])
        );
        assert_eq!(convert(&key, &[6], &[2]), Some(vec![2.0, 3.0]));
        assert_eq!(convert(&key, &[4, 2], &[2, 2]), None);
        assert_eq!(
            expected_shape(&key, &[2, 4]),
            "chunk 2 of 3 of [12, 2], transposed as PyTorch stores linear weights"
        );
    }

    #[test]
    fn leading_rows_and_coco_classes_are_selected() {
        let positions = source(Rows::Leading, false);
        assert_eq!(
            convert(&positions, &[3, 2], &[2, 2]),
            Some(vec![0.0, 1.0, 2.0, 3.0])
        );
        assert_eq!(convert(&positions, &[2, 2], &[3, 2]), None);
        let head = source(Rows::CocoClasses, false);
        let rows = convert(&head, &[92], &[81]).unwrap();
        // COCO's "person" is 1, "stop sign" 13 after the first unused id, "toothbrush" 90, then no-object.
        assert_eq!((rows[0], rows[10], rows[11]), (1.0, 11.0, 13.0));
        assert_eq!((rows[79], rows[80], rows.len()), (90.0, 91.0, 81));
        assert_eq!(convert(&head, &[5], &[5]).unwrap().len(), 5);
        assert_eq!(convert(&head, &[92], &[5]), None);
        // Sides of 1 are ignored, also of a scalar.
        let plain = source(Rows::All, false);
        assert_eq!(convert(&plain, &[1, 2], &[2]), Some(vec![0.0, 1.0]));
        assert_eq!(convert(&plain, &[], &[1]), Some(vec![0.0]));
    }
}
