//! Holds the records of a result file against the ids of the ground truth.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::path::Path;

use super::FileError;

/// Every wanted id is to be answered once, and no other.
pub(super) struct Answers<'a, I> {
    file: &'a Path,
    /// What the ids number: `question`, `image` or `identifier`.
    what: &'static str,
    wanted: &'a [I],
    /// Record that answers each wanted id.
    at: HashMap<&'a I, Option<usize>>,
}

impl<'a, I: Eq + Hash + Display> Answers<'a, I> {
    pub(super) fn new(file: &'a Path, what: &'static str, wanted: &'a [I]) -> Self {
        let at = wanted.iter().map(|id| (id, None)).collect();
        Self {
            file,
            what,
            wanted,
            at,
        }
    }

    /// Takes the answer of record `index` to `id`.
    pub(super) fn take(&mut self, index: usize, id: &I) -> Result<(), FileError> {
        let known = self.at.len();
        let (file, name) = (self.file.to_owned(), || format!("{} {id}", self.what));
        match self.at.get_mut(id) {
            None => Err(FileError::UnknownId {
                file,
                index,
                id: name(),
                known,
            }),
            Some(Some(first)) => Err(FileError::Duplicate {
                file,
                index,
                first: *first,
                id: name(),
            }),
            Some(answer) => {
                *answer = Some(index);
                Ok(())
            }
        }
    }

    /// Fails where an id was not answered.
    pub(super) fn finish(self) -> Result<(), FileError> {
        let open = self.at.values().filter(|answer| answer.is_none()).count();
        let first = self.wanted.iter().find(|id| self.at.get(id) == Some(&None));
        match first {
            None => Ok(()),
            Some(id) => Err(FileError::Missing {
                file: self.file.to_owned(),
                id: format!("{} {id}", self.what),
                count: open,
                known: self.at.len(),
            }),
        }
    }
}

/// Fails at the second of two records with one id, for writers.
pub(super) struct Once<I>(HashMap<I, usize>);

impl<I: Eq + Hash + Display + Clone> Once<I> {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    pub(super) fn take(
        &mut self,
        file: &Path,
        what: &'static str,
        index: usize,
        id: &I,
    ) -> Result<(), FileError> {
        match self.0.insert(id.clone(), index) {
            None => Ok(()),
            Some(first) => Err(FileError::Duplicate {
                file: file.to_owned(),
                index,
                first,
                id: format!("{what} {id}"),
            }),
        }
    }
}
