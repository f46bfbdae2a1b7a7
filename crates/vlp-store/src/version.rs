//! The version of each object, which must not change while a set is read.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use object_store::ObjectMeta;

/// What a response says about the version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectVersion {
    bytes: u64,
    /// Without quotes and without the mark of a weak one.
    e_tag: Option<String>,
    modified: Option<String>,
}

impl ObjectVersion {
    /// From a response about the object alone.
    pub(crate) fn of(metadata: &ObjectMeta) -> Self {
        let modified = metadata.last_modified;
        Self {
            modified: (modified.timestamp() != 0).then(|| modified.to_rfc2822()),
            ..Self::listed(metadata, true)
        }
    }

    /// From a list of objects. Its times are more exact than those of other responses, and its ETags the same only in some
    /// stores.
    pub(crate) fn listed(metadata: &ObjectMeta, has_e_tags: bool) -> Self {
        let e_tag = metadata.e_tag.as_deref().filter(|_| has_e_tags);
        Self {
            bytes: metadata.size,
            e_tag: e_tag.map(|e_tag| e_tag.trim_start_matches("W/").trim_matches('"').to_owned()),
            modified: None,
        }
    }

    /// Whether both can be of the same object: times count only without ETags.
    fn matches(&self, other: &Self) -> bool {
        let are_equal = |a: &Option<String>, b: &Option<String>| Some(a.as_ref()? == b.as_ref()?);
        let same_e_tag = are_equal(&self.e_tag, &other.e_tag);
        let is_same = same_e_tag.or_else(|| are_equal(&self.modified, &other.modified));
        self.bytes == other.bytes && is_same.unwrap_or(true)
    }
}

impl fmt::Display for ObjectVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes)?;
        match (&self.e_tag, &self.modified) {
            (Some(e_tag), _) => write!(f, ", ETag \"{e_tag}\""),
            (None, Some(modified)) => write!(f, ", modified {modified}"),
            (None, None) => Ok(()),
        }
    }
}

/// The versions of the objects of a store, from the first response about each on.
#[derive(Debug, Default)]
pub(crate) struct Versions(Mutex<HashMap<String, ObjectVersion>>);

/// An object that is not what it was.
pub(crate) struct Changed {
    pub(crate) first: ObjectVersion,
    pub(crate) now: ObjectVersion,
}

impl Versions {
    /// Compares a version with what is known of the object, and adds to it.
    pub(crate) fn check(&self, name: &str, now: ObjectVersion) -> Result<(), Changed> {
        // No panic can leave the map inconsistent.
        let mut versions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(first) = versions.get_mut(name) else {
            versions.insert(name.into(), now);
            return Ok(());
        };
        if !first.matches(&now) {
            let first = first.clone();
            return Err(Changed { first, now });
        }
        first.e_tag = first.e_tag.take().or(now.e_tag);
        first.modified = first.modified.take().or(now.modified);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(bytes: u64, e_tag: Option<&str>, modified: Option<&str>) -> ObjectVersion {
        ObjectVersion {
            bytes,
            e_tag: e_tag.map(str::to_owned),
            modified: modified.map(str::to_owned),
        }
    }

    #[test]
    fn versions_are_compared_by_what_both_have() {
        let versions = Versions::default();
        let check = |e_tag, modified| versions.check("a", version(5, e_tag, modified)).is_ok();
        // A list without ETags, then a response.
        assert!(check(None, None));
        assert!(check(Some("1"), Some("monday")));
        // The ETag decides.
        assert!(check(Some("1"), Some("tuesday")));
        assert!(!check(Some("2"), Some("monday")));
        // Without one, the time does.
        assert!(check(None, Some("monday")));
        assert!(!check(None, Some("tuesday")));
        assert!(check(None, None));
        assert!(versions.check("a", version(6, None, None)).is_err());
        assert!(versions.check("b", version(6, None, None)).is_ok());
    }
}
