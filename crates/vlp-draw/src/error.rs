//! What can be wrong with the input of a drawing.

/// Why a page could not be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// A picture whose pixels, boxes, heat maps or codes cannot be drawn.
    #[error("picture {index} ({title:?}): {problem}")]
    Picture {
        /// Index into the pictures of the page.
        index: usize,
        /// Title of the picture.
        title: String,
        /// What is wrong with it.
        problem: PictureError,
    },
    /// A row of a table that does not fit its columns.
    #[error("row {row} of a table has {cells} cells; the table has {columns} columns")]
    Row {
        /// Index of the row.
        row: usize,
        /// Cells in that row.
        cells: usize,
        /// Columns of the table.
        columns: usize,
    },
    /// A masked text that refers to a picture that is not there.
    #[error(
        "masked text {index} refers to picture {picture}; the report has {pictures} (counted from 0)"
    )]
    MaskedPicture {
        /// Index into [`Report::masked`](crate::Report::masked).
        index: usize,
        /// The picture it names.
        picture: usize,
        /// Number of pictures in the report.
        pictures: usize,
    },
    /// A patch of a code whose pixels cannot be drawn.
    #[error("code {code}, patch {patch} ({title:?}): {problem}")]
    Patch {
        /// Number of the code.
        code: usize,
        /// Index into [`CodeCard::patches`](crate::CodeCard::patches).
        patch: usize,
        /// Title of the patch.
        title: String,
        /// What is wrong with it.
        problem: PictureError,
    },
    /// A code that a dictionary lists more than once.
    #[error("code {code} is listed twice; each code of a dictionary is listed once")]
    RepeatedCode {
        /// Number of the code.
        code: usize,
    },
}

/// Why a picture could not be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// Width or height is 0.
    #[error("size is {width}x{height} pixels; both must be above 0")]
    Empty {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The number of bytes is not `width * height * 3`.
    #[error("{actual} bytes of RGB for {width}x{height} pixels; {expected} are right")]
    Bytes {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes that size needs.
        expected: u64,
        /// Bytes given.
        actual: usize,
    },
    /// A box with a corner that is not finite, or with its corners in the wrong order.
    #[error(
        "box {index} ({label:?}) is ({x0}, {y0}, {x1}, {y1}); corners must be finite pixels with x0 <= x1 and y0 <= y1"
    )]
    Box {
        /// Index into the boxes of the picture.
        index: usize,
        /// Class name of the box.
        label: String,
        /// Left edge.
        x0: f32,
        /// Top edge.
        y0: f32,
        /// Right edge.
        x1: f32,
        /// Bottom edge.
        y1: f32,
    },
    /// A grid without cells, or whose number of values is not its number of cells.
    #[error(
        "{of}: {actual} values for a grid of {rows}x{columns} (rows x columns); {expected} are right, both above 0"
    )]
    Grid {
        /// What the grid holds.
        of: String,
        /// Cells from top to bottom.
        rows: u32,
        /// Cells from left to right.
        columns: u32,
        /// Values that size needs.
        expected: u64,
        /// Values given.
        actual: usize,
    },
    /// A weight of a heat map that is not finite or below 0.
    #[error(
        "heat map {heat:?}: the weight of row {row}, column {column} is {weight}; weights must be finite and 0 or more"
    )]
    Weight {
        /// Title of the heat map.
        heat: String,
        /// Row of the cell, counted from 0.
        row: usize,
        /// Column of the cell, counted from 0.
        column: usize,
        /// The weight.
        weight: f32,
    },
    /// A cell with a code that the dictionary does not list.
    #[error("the cell in row {row}, column {column} has code {code}, which is not listed")]
    Code {
        /// Row of the cell, counted from 0.
        row: usize,
        /// Column of the cell, counted from 0.
        column: usize,
        /// Number of the code.
        code: usize,
    },
    /// The PNG encoder failed.
    #[error("PNG encoding failed: {0}")]
    Encode(#[from] png::EncodingError),
}
