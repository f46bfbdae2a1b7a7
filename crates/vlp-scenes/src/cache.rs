use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use crate::{Scene, Scenes};

/// Largest number of scenes that are cached (about 40 MB).
///
/// In larger sets few scenes would be requested twice, so these are generated anew each time.
const MAX_CACHED: usize = 1 << 17;

/// Scenes generated so far, shared by clones.
///
/// Drawing one statement inspects dozens of scenes, and generating a scene costs far more than inspecting it.
#[derive(Clone, Default)]
pub(crate) struct SceneCache(Arc<OnceLock<Box<[OnceLock<Scene>]>>>);

impl fmt::Debug for SceneCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SceneCache")
    }
}

impl Scenes {
    /// The scene at an index, cached if the set is small enough.
    pub(crate) fn cached_scene(&self, index: usize) -> Cow<'_, Scene> {
        let count = self.config.count;
        if index >= count || count > MAX_CACHED {
            return Cow::Owned(self.scene(index));
        }
        let slots = self
            .cache
            .0
            .get_or_init(|| std::iter::repeat_with(OnceLock::new).take(count).collect());
        Cow::Borrowed(slots[index].get_or_init(|| self.scene(index)))
    }
}
