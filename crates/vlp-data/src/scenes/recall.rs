use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use super::{Scene, Scenes};

/// Most scenes that are remembered: about 40 MB of them. Sets of more scenes are generated anew each time, as most of
/// theirs would be.
const MOST: usize = 1 << 17;

/// Scenes generated so far. A statement is drawn by looking at scores of scenes, which costs far more to generate than to
/// look at.
#[derive(Clone, Default)]
pub(super) struct Recall(Arc<OnceLock<Box<[OnceLock<Scene>]>>>);

impl fmt::Debug for Recall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recall")
    }
}

impl Scenes {
    /// The scene of an index, remembered where the set is small enough.
    pub(super) fn recall(&self, index: usize) -> Cow<'_, Scene> {
        let count = self.config.count;
        if index >= count || count > MOST {
            return Cow::Owned(self.scene(index));
        }
        let slots = self
            .recall
            .0
            .get_or_init(|| std::iter::repeat_with(OnceLock::new).take(count).collect());
        Cow::Borrowed(slots[index].get_or_init(|| self.scene(index)))
    }
}
