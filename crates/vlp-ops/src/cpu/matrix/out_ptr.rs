//! Where a matrix is written.

/// Where a result matrix is written: rows `stride` values apart.
#[derive(Clone, Copy)]
pub(crate) struct OutPtr {
    pub(crate) ptr: *mut f32,
    pub(crate) stride: usize,
}

// SAFETY: the pointer is used by unsafe functions alone, whose callers make sure that no two tasks write the same values.
#[allow(unsafe_code)]
unsafe impl Sync for OutPtr {}

impl OutPtr {
    /// From a row and a column on.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn offset(self, row: usize, column: usize) -> Self {
        Self {
            ptr: self.ptr.wrapping_add(row * self.stride + column),
            ..self
        }
    }
}
