//! Output memory that several tasks write at once.
#![allow(
    unsafe_code,
    reason = "tasks write disjoint parts of one allocation through a pointer"
)]

use std::mem::MaybeUninit;

use super::matmul_into;
use crate::cpu::matrix::{Matrix, OutPtr};
use crate::flops::count_matmul;

/// The output of several tasks, each of which writes a part of it.
///
/// Safety rule: while a task accesses a part by any of the unsafe methods, no other task may access an overlapping part.
pub(crate) struct DisjointOutput(*mut f32);

// SAFETY: only unsafe methods use the pointer, and their callers follow the rule above.
unsafe impl Sync for DisjointOutput {}

impl DisjointOutput {
    /// Allocates `length` values, which `f` writes.
    ///
    /// # Safety
    /// `f` must initialize all `length` values, and must not access memory beyond them.
    pub(crate) unsafe fn fill(length: usize, f: impl FnOnce(&Self)) -> Vec<f32> {
        let mut out = Vec::with_capacity(length);
        f(&Self(out.as_mut_ptr()));
        // SAFETY: the capacity suffices, and the caller guarantees that `f` wrote all values.
        unsafe { out.set_len(length) };
        out
    }

    /// Writes a matmul from value `start` on, in rows `stride` values apart. Counts its operations.
    ///
    /// # Safety
    /// All rows must be inside the output, and initialized if `add`; no other task may access them during the call.
    pub(crate) unsafe fn matmul(
        &self,
        start: usize,
        shape: [usize; 3],
        stride: usize,
        add: bool,
        left: Matrix<'_>,
        right: Matrix<'_>,
    ) {
        count_matmul(shape);
        // SAFETY: the caller guarantees the requirements.
        unsafe { matmul_into(shape, self.ptr(start, stride), add, left, right) };
    }

    /// Pointer to a matrix whose first value is value `start`, with rows `stride` values apart.
    pub(crate) fn ptr(&self, start: usize, stride: usize) -> OutPtr {
        OutPtr {
            ptr: self.0.wrapping_add(start),
            stride,
        }
    }

    /// `count` values from `start` on, to be written.
    ///
    /// # Safety
    /// The values must be inside the output, and no other task may access them while the slice lives.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn uninit_slice(
        &self,
        start: usize,
        count: usize,
    ) -> &mut [MaybeUninit<f32>] {
        // SAFETY: the caller guarantees the requirements.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start).cast(), count) }
    }

    /// `count` values from `start` on.
    ///
    /// # Safety
    /// As for [`Self::uninit_slice`]; in addition, all `count` values must be initialized.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice(&self, start: usize, count: usize) -> &mut [f32] {
        // SAFETY: the caller guarantees the requirements.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_fill_disjoint_parts() {
        const PART: usize = 7;
        // SAFETY: each thread writes its own part, and the parts are all of the output.
        let values = unsafe {
            DisjointOutput::fill(4 * PART, |output| {
                std::thread::scope(|scope| {
                    for part in 0..4 {
                        scope.spawn(move || {
                            let slice = output.uninit_slice(part * PART, PART);
                            slice.fill(MaybeUninit::new(part as f32));
                            output.slice(part * PART, PART)[0] += 0.5;
                        });
                    }
                });
            })
        };
        for (part, values) in values.chunks(PART).enumerate() {
            assert_eq!(values[0], part as f32 + 0.5);
            assert!(values[1..].iter().all(|value| *value == part as f32));
        }
    }
}
