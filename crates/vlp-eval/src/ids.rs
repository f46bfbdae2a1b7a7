//! Pairs the records of two lists by id.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;

use crate::EvalError;

/// For each of `wanted`, the position of the record of `given` with that id.
///
/// Fails on an id that is repeated, missing or unknown.
pub(crate) fn pair_up<I: Eq + Hash + Copy + Display>(
    (wanted_name, wanted): (&'static str, &[I]),
    (given_name, given): (&'static str, &[I]),
) -> Result<Vec<usize>, EvalError> {
    let wanted_at = index(wanted_name, wanted)?;
    let given_at = index(given_name, given)?;
    if let Some(at) = given.iter().position(|id| !wanted_at.contains_key(id)) {
        return Err(EvalError::UnknownId {
            list: given_name,
            index: at,
            id: given[at].to_string(),
        });
    }
    let position = |id: &I| {
        let missing = || EvalError::Missing {
            list: given_name,
            id: id.to_string(),
        };
        given_at.get(id).copied().ok_or_else(missing)
    };
    wanted.iter().map(position).collect()
}

fn index<I: Eq + Hash + Copy + Display>(
    list: &'static str,
    ids: &[I],
) -> Result<HashMap<I, usize>, EvalError> {
    let mut at = HashMap::with_capacity(ids.len());
    for (index, &id) in ids.iter().enumerate() {
        if at.insert(id, index).is_some() {
            return Err(EvalError::Duplicate {
                list,
                index,
                id: id.to_string(),
            });
        }
    }
    Ok(at)
}
