//! Result of [`assign`](crate::assign()).

use burn::prelude::*;

/// A one-to-one assignment of objects to queries by [`assign`](crate::assign()).
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The object of each query, `[problems, queries]`, or `none`.
    pub objects: Tensor<2, Int>,
    /// `[problems]`: 1, or NaN if a cost of the problem is NaN or infinite; then no query has an object.
    pub finite: Tensor<1>,
}
