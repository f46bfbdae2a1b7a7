//! Keys that a command reads. Setting another one would have no effect.

use crate::error::VlpError;

/// Refuses the first of `keys` that is neither one of `used` nor below one. Tables of `used` may end in a dot.
///
/// # Errors
/// [`VlpError::Config`] with the key and those that are used; `reader` names the command that reads them.
pub fn check_used<'a>(
    mut keys: impl Iterator<Item = &'a str>,
    used: &[&str],
    reader: &str,
) -> Result<(), VlpError> {
    let is_used = |key: &str| {
        used.iter().any(|used| {
            let rest = key.strip_prefix(used.trim_end_matches('.'));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    match keys.find(|key| !is_used(key)) {
        None => Ok(()),
        Some(key) => Err(VlpError::Config(format!(
            "{key}: {reader} does not read it; it reads {}",
            used.join(", ")
        ))),
    }
}
