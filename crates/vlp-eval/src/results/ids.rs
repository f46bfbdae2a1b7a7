//! Checks of the ids in result files.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::path::Path;

use super::error::FileError;
use super::selection::Selection;

/// Checks that a file being read has one record for each expected id and no others.
pub(super) struct ExpectedIds<'a, I> {
    file: &'a Path,
    /// What the ids identify: `question`, `image` or `identifier`.
    kind: &'static str,
    expected: &'a [I],
    allow_missing: bool,
    /// Index of the record with each expected id.
    records: HashMap<&'a I, Option<usize>>,
}

impl<'a, I: Eq + Hash + Display> ExpectedIds<'a, I> {
    pub(super) fn new(file: &'a Path, kind: &'static str, expected: &'a [I]) -> Self {
        Self {
            file,
            kind,
            expected,
            allow_missing: false,
            records: expected.iter().map(|id| (id, None)).collect(),
        }
    }

    /// The ids that `selection` requires of a result file; `annotated` are all ids of the annotations.
    pub(super) fn select(
        file: &'a Path,
        kind: &'static str,
        annotated: &'a [I],
        selection: &Selection<'a, I>,
    ) -> Self {
        let expected = match *selection {
            Selection::All | Selection::InResults => annotated,
            Selection::Ids(ids) => ids,
        };
        Self {
            allow_missing: matches!(selection, Selection::InResults),
            ..Self::new(file, kind, expected)
        }
    }

    /// Adds the id of record `index`.
    pub(super) fn insert(&mut self, index: usize, id: &I) -> Result<(), FileError> {
        let expected = self.records.len();
        let (file, name) = (self.file.to_owned(), || format!("{} {id}", self.kind));
        match self.records.get_mut(id) {
            None => Err(FileError::UnknownId {
                file,
                index,
                id: name(),
                expected,
            }),
            Some(Some(first)) => Err(FileError::Duplicate {
                file,
                index,
                first: *first,
                id: name(),
            }),
            Some(record) => {
                *record = Some(index);
                Ok(())
            }
        }
    }

    /// Errors if an id has no record, or all of them if records may be missing.
    pub(super) fn finish(self) -> Result<(), FileError> {
        if self.allow_missing && self.records.values().any(Option::is_some) {
            return Ok(());
        }
        let missing = self.records.values().filter(|record| record.is_none());
        let count = missing.count();
        let is_missing = |id: &&I| self.records.get(id) == Some(&None);
        match self.expected.iter().find(is_missing) {
            None => Ok(()),
            Some(first) => Err(FileError::Missing {
                file: self.file.to_owned(),
                id: format!("{} {first}", self.kind),
                count,
                expected: self.records.len(),
            }),
        }
    }
}

/// Checks that a file being written has no two records with the same id.
pub(super) struct UniqueIds<I>(HashMap<I, usize>);

impl<I: Eq + Hash + Display + Clone> UniqueIds<I> {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// Adds the id of record `index`; `kind` is what the id identifies.
    pub(super) fn insert(
        &mut self,
        file: &Path,
        kind: &'static str,
        index: usize,
        id: &I,
    ) -> Result<(), FileError> {
        match self.0.insert(id.clone(), index) {
            None => Ok(()),
            Some(first) => Err(FileError::Duplicate {
                file: file.to_owned(),
                index,
                first,
                id: format!("{kind} {id}"),
            }),
        }
    }
}
