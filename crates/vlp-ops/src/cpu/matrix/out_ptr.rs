//! Pointer to an output matrix.

/// Pointer to a matrix to be written, with rows `stride` values apart.
#[derive(Clone, Copy)]
pub(crate) struct OutPtr {
    pub(crate) ptr: *mut f32,
    pub(crate) stride: usize,
}

// SAFETY: only unsafe functions use the pointer, and their callers ensure that no two tasks write the same values.
#[allow(unsafe_code)]
unsafe impl Sync for OutPtr {}

impl OutPtr {
    /// The matrix from a row and a column on.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn offset(self, row: usize, column: usize) -> Self {
        Self {
            ptr: self.ptr.wrapping_add(row * self.stride + column),
            ..self
        }
    }
}
