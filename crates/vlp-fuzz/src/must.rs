//! What must succeed, and messages of what may fail.

use std::error::Error;
use std::fmt::Display;

/// A result that is an error only if there is a finding, or the machine fails.
pub(crate) trait Must<T> {
    /// The value.
    ///
    /// # Panics
    /// With `what` and the error.
    fn must(self, what: &str) -> T;
}

impl<T, E: Display> Must<T> for Result<T, E> {
    #[track_caller]
    #[expect(clippy::panic, reason = "a finding")]
    fn must(self, what: &str) -> T {
        match self {
            Ok(value) => value,
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

/// The value, or `None` after the messages of the error were rendered.
pub(crate) fn accepted<T, E: Error>(result: Result<T, E>) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    assert!(
        !error.to_string().trim().is_empty(),
        "{error:?} says nothing"
    );
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = cause.to_string();
        source = cause.source();
    }
    None
}
