//! Updates of tensors in place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Lets a GPU update tensors in place even if they have another owner, which then has the new values too: a recorded
/// graph reads and writes the same memory at each replay. Clones share what they remember.
#[derive(Debug, Clone, Default)]
pub struct InPlace(Arc<AtomicBool>);

impl InPlace {
    /// Whether a tensor could not be updated in place, since its layout has gaps. Updates that have been launched but not
    /// run do not count yet.
    pub fn has_moved(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    #[cfg(feature = "gpu")]
    pub(crate) fn set_moved(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
