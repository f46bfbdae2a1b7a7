//! A matrix inside a slice.

/// A matrix inside a slice, with any distance between rows and between columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of neighboring values, `row_stride` values apart.
    pub(crate) fn row_major(values: &'a [f32], row_stride: usize) -> Self {
        Self {
            values,
            row_stride,
            column_stride: 1,
        }
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            values: self.values,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// The matrix from a row and a column on.
    pub(crate) fn offset(self, row: usize, column: usize) -> Self {
        let start = row * self.row_stride + column * self.column_stride;
        Self {
            values: &self.values[start..],
            ..self
        }
    }

    /// Whether values of one column are neighbors, and those of one row are not.
    pub(crate) fn is_column_major(&self) -> bool {
        self.column_stride != 1 && self.row_stride == 1
    }

    /// # Panics
    /// If the slice is too short, which is a bug of this crate.
    pub(crate) fn assert_contains(&self, rows: usize, columns: usize) {
        assert!(self.contains(rows, columns));
    }

    /// Whether the slice has this many rows and columns, both at least 1.
    pub(crate) fn contains(&self, rows: usize, columns: usize) -> bool {
        let last = (rows - 1) * self.row_stride + (columns - 1) * self.column_stride;
        last < self.values.len()
    }
}
