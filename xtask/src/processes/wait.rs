//! Waiting for what other processes do.

use std::time::{Duration, Instant};

/// Looks every `interval` until a condition holds; `false` if it did not within `limit`.
///
/// # Errors
/// Those of the condition, which end the wait.
pub(crate) fn until(
    interval: Duration,
    limit: Duration,
    mut condition: impl FnMut() -> Result<bool, String>,
) -> Result<bool, String> {
    let start = Instant::now();
    while !condition()? {
        if start.elapsed() > limit {
            return Ok(false);
        }
        std::thread::sleep(interval);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_condition_its_limit_or_an_error() {
        let (interval, limit) = (Duration::from_millis(1), Duration::from_millis(5));
        let mut looks = 0;
        let third = until(interval, Duration::MAX, || {
            looks += 1;
            Ok(looks == 3)
        });
        assert_eq!((third, looks), (Ok(true), 3));
        assert_eq!(until(interval, limit, || Ok(false)), Ok(false));
        let failed = until(interval, limit, || Err("ended".into()));
        assert_eq!(failed, Err("ended".into()));
    }
}
