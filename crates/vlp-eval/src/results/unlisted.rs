//! Records that refer to ids that the annotations do not list.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::Path;

/// Records that are not scored because a list of the annotations lacks an id of theirs.
pub(super) struct Unlisted<I> {
    record: &'static str,
    kind: &'static str,
    list: &'static str,
    count: usize,
    ids: BTreeSet<I>,
}

impl<I: Ord + Display> Unlisted<I> {
    pub(super) fn new(record: &'static str, kind: &'static str, list: &'static str) -> Self {
        Self {
            record,
            kind,
            list,
            count: 0,
            ids: BTreeSet::new(),
        }
    }

    /// `is_listed`; counts a record that is not.
    pub(super) fn retain(&mut self, is_listed: bool, id: I) -> bool {
        if !is_listed {
            self.count += 1;
            self.ids.insert(id);
        }
        is_listed
    }

    pub(super) fn note(&self, file: &Path) -> Option<String> {
        let Self {
            record,
            kind,
            list,
            count,
            ..
        } = self;
        let mut ids: Vec<String> = self.ids.iter().take(5).map(ToString::to_string).collect();
        if self.ids.len() > ids.len() {
            ids.push("..".to_owned());
        }
        let (file, ids) = (file.display(), ids.join(", "));
        (*count > 0).then(|| {
            format!("{file}: {record}s that are not scored: {count}, of {kind} {ids}, which {list:?} does not list")
        })
    }
}
