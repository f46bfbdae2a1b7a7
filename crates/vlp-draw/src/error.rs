//! Errors in the input of pages.

/// Invalid input of a page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// An image whose pixels, boxes, heat maps or codes cannot be drawn.
    #[error("image {index} ({title:?}): {problem}")]
    Image {
        /// Index into the images of the page.
        index: usize,
        /// Title of the image.
        title: String,
        /// What is wrong with it.
        problem: ImageError,
    },
    /// A row of a table with a wrong number of cells.
    #[error("row {row} of a table has {cells} cells; the table has {columns} columns")]
    Row {
        /// Index of the row.
        row: usize,
        /// Cells in that row.
        cells: usize,
        /// Columns of the table.
        columns: usize,
    },
    /// A masked text with an index of a missing image.
    #[error(
        "masked text {index} refers to image {image} (counted from 0); the report has {images} images"
    )]
    MaskedImage {
        /// Index into [`Report::masked`](crate::Report::masked).
        index: usize,
        /// Its index of an image.
        image: usize,
        /// Number of images in the report.
        images: usize,
    },
    /// A patch whose pixels cannot be drawn.
    #[error("code {code}, patch {patch} ({title:?}): {problem}")]
    Patch {
        /// The code.
        code: usize,
        /// Index into [`CodeCard::patches`](crate::CodeCard::patches).
        patch: usize,
        /// Title of the patch.
        title: String,
        /// What is wrong with it.
        problem: ImageError,
    },
    /// A code that a dictionary lists more than once.
    #[error("code {code} is listed twice; a dictionary lists each code once")]
    RepeatedCode {
        /// The code.
        code: usize,
    },
}

/// Invalid input of an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Width or height is 0.
    #[error("size is {width}x{height} pixels; both must be above 0")]
    Empty {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The number of bytes is not `width * height * 3`.
    #[error("{actual} bytes of RGB for {width}x{height} pixels; expected {expected}")]
    Bytes {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Expected number of bytes.
        expected: u64,
        /// Actual number of bytes.
        actual: usize,
    },
    /// A box with a corner that is not finite, or with corners in the wrong order.
    #[error(
        "box {index} ({label:?}) is ({x0}, {y0}, {x1}, {y1}); corners must be finite pixels with x0 <= x1 and y0 <= y1"
    )]
    Box {
        /// Index into the boxes of the image.
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
    /// A grid without rows or columns, or whose number of values is not `rows * columns`.
    #[error(
        "{grid}: {actual} values for a grid of {rows}x{columns} (rows x columns); expected {expected}, rows and columns above 0"
    )]
    Grid {
        /// The values, such as `codes`.
        grid: String,
        /// Number of rows.
        rows: u32,
        /// Number of columns.
        columns: u32,
        /// Expected number of values.
        expected: u64,
        /// Actual number of values.
        actual: usize,
    },
    /// A weight of a heat map that is not finite or below 0.
    #[error(
        "heat map {heatmap:?}: the weight of row {row}, column {column} is {weight}; weights must be finite and 0 or more"
    )]
    Weight {
        /// Title of the heat map.
        heatmap: String,
        /// Row, counted from 0.
        row: usize,
        /// Column, counted from 0.
        column: usize,
        /// The weight.
        weight: f32,
    },
    /// A grid feature with a code that the dictionary does not list.
    #[error("the grid feature in row {row}, column {column} has code {code}, which is not listed")]
    Code {
        /// Row, counted from 0.
        row: usize,
        /// Column, counted from 0.
        column: usize,
        /// The code.
        code: usize,
    },
    /// The PNG encoder failed.
    #[error("PNG encoding failed: {0}")]
    Encode(#[from] png::EncodingError),
}
