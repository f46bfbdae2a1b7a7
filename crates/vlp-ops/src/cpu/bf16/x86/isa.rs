//! Which instructions multiply in bf16.

use std::sync::LazyLock;

use super::layout::LANES;

/// The instructions that multiply in bf16. They determine how the left operand is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MatmulIsa {
    /// AVX-512 BF16: sums in vector registers.
    Avx512,
    /// AMX: sums in tile registers of 16 rows.
    Amx,
}

impl MatmulIsa {
    /// The best instructions that this process may use.
    pub(crate) fn current() -> Self {
        static CURRENT: LazyLock<MatmulIsa> = LazyLock::new(|| match request_amx() {
            true => MatmulIsa::Amx,
            false => MatmulIsa::Avx512,
        });
        *CURRENT
    }

    pub(crate) fn is_amx(self) -> bool {
        self == Self::Amx
    }

    /// Rows of a panel of the left operand: blocks of its rows start at multiples.
    pub(crate) const fn panel_rows(self) -> usize {
        match self {
            Self::Avx512 => 14,
            Self::Amx => 2 * LANES,
        }
    }

    /// Cache lines of a chunk of such a panel: of whole 16x16 blocks.
    pub(super) const fn left_chunk_lines(self) -> usize {
        self.panel_rows().next_multiple_of(LANES)
    }
}

/// Whether the processor has AMX and the system lets this process use it: Linux saves the state of the tiles on request.
#[cfg(target_os = "linux")]
fn request_amx() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};

    /// Bits of register edx in leaf 7.
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    /// `ARCH_REQ_XCOMP_PERM` and `XFEATURE_XTILEDATA` in Linux's `asm/prctl.h` and `asm/fpu/types.h`.
    const REQUEST_PERMISSION: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;

    if __cpuid(0).eax < 7 || __cpuid_count(7, 0).edx & (AMX_BF16 | AMX_TILE) != AMX_BF16 | AMX_TILE
    {
        return false;
    }
    // SAFETY: the call only permits threads of this process to use the tiles. Signal stacks must then have room for their
    // state; the kernel refuses the request if one has not.
    #[allow(unsafe_code)]
    let status = unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) };
    status == 0
}

#[cfg(not(target_os = "linux"))]
fn request_amx() -> bool {
    false
}
