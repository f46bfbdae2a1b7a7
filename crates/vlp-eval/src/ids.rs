//! Matching of the records of two lists by id.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;

use crate::EvalError;

/// For each id of `expected`, the index of the record of `actual` with that id. Both lists come with their names.
///
/// # Errors
/// An id that is repeated, missing or unknown.
pub(crate) fn match_ids<I: Eq + Hash + Copy + Display>(
    (expected_name, expected): (&'static str, &[I]),
    (actual_name, actual): (&'static str, &[I]),
) -> Result<Vec<usize>, EvalError> {
    let expected_indices = indices(expected_name, expected)?;
    let actual_indices = indices(actual_name, actual)?;
    let is_unknown = |id: &I| !expected_indices.contains_key(id);
    if let Some(index) = actual.iter().position(is_unknown) {
        return Err(EvalError::UnknownId {
            list: actual_name,
            index,
            id: actual[index].to_string(),
        });
    }
    let index = |id: &I| {
        let missing = || EvalError::Missing {
            list: actual_name,
            id: id.to_string(),
        };
        actual_indices.get(id).copied().ok_or_else(missing)
    };
    expected.iter().map(index).collect()
}

fn indices<I: Eq + Hash + Copy + Display>(
    list: &'static str,
    ids: &[I],
) -> Result<HashMap<I, usize>, EvalError> {
    let mut indices = HashMap::with_capacity(ids.len());
    for (index, &id) in ids.iter().enumerate() {
        if indices.insert(id, index).is_some() {
            return Err(EvalError::Duplicate {
                list,
                index,
                id: id.to_string(),
            });
        }
    }
    Ok(indices)
}
