//! Which of the processor's units multiplies.

use std::sync::LazyLock;

use super::pack::LANES;

/// What multiplies, and how the left operand lies for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// AVX-512 BF16: sums in vectors.
    Vectors,
    /// AMX: sums in tiles of 16 rows.
    Tiles,
}

impl Unit {
    /// The best that this process may use.
    pub(crate) fn here() -> Self {
        static HERE: LazyLock<Unit> = LazyLock::new(|| match tiles() {
            true => Unit::Tiles,
            false => Unit::Vectors,
        });
        *HERE
    }

    /// Rows of a left operand's panel: parts of its rows start at multiples.
    pub(crate) const fn rows(self) -> usize {
        match self {
            Self::Vectors => 14,
            Self::Tiles => 2 * LANES,
        }
    }

    /// Lines of a chunk of such a panel, of whole squares.
    pub(super) const fn left_chunk(self) -> usize {
        self.rows().next_multiple_of(LANES)
    }
}

/// Whether there are tiles, and the system keeps their state for this process: Linux does so when asked.
#[cfg(target_os = "linux")]
fn tiles() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    /// Of leaf 7's last register.
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    /// `ARCH_REQ_XCOMP_PERM` and `XFEATURE_XTILEDATA` of Linux's `asm/prctl.h` and `asm/fpu/types.h`.
    const ASK: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;

    if __cpuid(0).eax < 7 || __cpuid_count(7, 0).edx & (AMX_BF16 | AMX_TILE) != AMX_BF16 | AMX_TILE
    {
        return false;
    }
    // SAFETY: threads may use more from here on, and stacks for signals have to hold it, as Rust's do: where one does not, the
    // system refuses.
    #[allow(unsafe_code)]
    let refused = unsafe { libc::syscall(libc::SYS_arch_prctl, ASK, TILE_DATA) };
    refused == 0
}

#[cfg(not(target_os = "linux"))]
fn tiles() -> bool {
    false
}
