//! Passes of an encoder.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use burn::prelude::*;

/// 0 for no, 1 for yes, 2 for the default of the device.
static MERGE: AtomicU8 = AtomicU8::new(2);

/// Whether passes over the same layers run as one, with padding up to the longest sequence. On a GPU this halves the number
/// of kernels. The CPU runs them separately, so that its results stay bit-identical.
pub fn merges_passes(device: &Device) -> bool {
    match MERGE.load(Ordering::Relaxed) {
        2 => !vlp_ops::is_cpu(device),
        merge => merge == 1,
    }
}

/// Sets [`merges_passes`] for every device of the process, to compare the results.
#[doc(hidden)]
pub fn merge_passes(on: bool) {
    MERGE.store(u8::from(on), Ordering::Relaxed);
}

/// A set of encoder passes, as bit flags. A pass that no objective declares is not run.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct EncoderPasses(u8);

impl EncoderPasses {
    /// No pass: the backbone alone.
    pub const NONE: Self = Self(0);
    /// Each text together with its image.
    pub const JOINT: Self = Self(1);
    /// Each image alone, so that the text cannot leak.
    pub const IMAGE: Self = Self(2);
    /// The unmodified text of each image alone.
    pub const TEXT: Self = Self(4);

    /// The passes in either set.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every pass of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl fmt::Debug for EncoderPasses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::JOINT, "JOINT"),
            (Self::IMAGE, "IMAGE"),
            (Self::TEXT, "TEXT"),
        ];
        let names = names.into_iter().filter(|(pass, _)| self.contains(*pass));
        let names: Vec<&str> = names.map(|(_, name)| name).collect();
        write!(f, "EncoderPasses({})", names.join(" | "))
    }
}
