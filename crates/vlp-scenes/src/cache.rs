use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use crate::Scene;

/// Largest number of scenes that are cached (about 40 MB).
///
/// In larger sets few scenes would be requested twice, so these are generated anew each time.
const MAX_CACHED: usize = 1 << 17;

/// Scenes generated so far, shared by clones.
///
/// Generating one statement inspects dozens of scenes, and generating a scene costs far more than inspecting it.
#[derive(Clone, Default)]
pub(crate) struct SceneCache(Arc<OnceLock<Box<[OnceLock<Scene>]>>>);

impl fmt::Debug for SceneCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SceneCache")
    }
}

impl SceneCache {
    /// The scene at an index of a set of `count` scenes; not cached if the set is too large.
    pub(crate) fn get_or_generate(
        &self,
        index: usize,
        count: usize,
        generate: impl FnOnce() -> Scene,
    ) -> Cow<'_, Scene> {
        if index >= count || count > MAX_CACHED {
            return Cow::Owned(generate());
        }
        let slots = self
            .0
            .get_or_init(|| std::iter::repeat_with(OnceLock::new).take(count).collect());
        Cow::Borrowed(slots[index].get_or_init(generate))
    }
}
