//! What can be wrong with the input of a drawing.

/// Why a report could not be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrawError {
    /// A picture card whose pixels or boxes cannot be drawn.
    #[error("picture {index} ({title:?}): {problem}")]
    Picture {
        /// Index into [`Report::pictures`](crate::Report::pictures).
        index: usize,
        /// Title of the card.
        title: String,
        /// What is wrong with it.
        problem: PictureError,
    },
    /// A row of the metrics table that does not fit its columns.
    #[error("row {row} of the metrics has {cells} cells; the table has {columns} columns")]
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
        /// Index into [`PictureCard::boxes`](crate::PictureCard::boxes).
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
    /// The PNG encoder failed.
    #[error("PNG encoding failed: {0}")]
    Encode(#[from] png::EncodingError),
}
