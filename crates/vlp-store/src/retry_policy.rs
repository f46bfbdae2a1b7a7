use std::{env, time::Duration};

use crate::StoreError;

/// Environment variable with [`RetryPolicy::timeout`] in seconds.
const TIMEOUT: &str = "VLP_STORE_TIMEOUT";

/// Number and delays of the attempts to read a byte range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Consecutive attempts without any data after which the read fails, at least 1.
    pub max_attempts: u32,
    /// Delay before the first retry; it doubles with each further one.
    pub initial_delay: Duration,
    /// Largest delay.
    pub max_delay: Duration,
    /// Time after which nothing is retried: no request that got no response or one such as 503 or 429, and not the rest of a
    /// truncated response. A single request may take a sixth of it, at most 30 seconds.
    pub timeout: Duration,
}

impl Default for RetryPolicy {
    /// Six attempts with delays of 0.2, 0.4, 0.8 seconds and so on, at most 10 seconds, within three minutes.
    fn default() -> Self {
        Self {
            max_attempts: 6,
            initial_delay: Duration::from_millis(200),
            max_delay: Duration::from_secs(10),
            timeout: Duration::from_secs(180),
        }
    }
}

impl RetryPolicy {
    /// The default, with the timeout of the environment variable `VLP_STORE_TIMEOUT`, in seconds, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Setting`] for another value than 1 to 86400 seconds.
    pub fn from_environment() -> Result<Self, StoreError> {
        let mut policy = Self::default();
        if let Some(value) = env::var_os(TIMEOUT) {
            let value = value.to_string_lossy();
            policy.timeout = seconds(&value).ok_or_else(|| StoreError::Setting {
                name: TIMEOUT,
                reason: format!("{value:?}; it must be a number of seconds from 1 to 86400"),
            })?;
        }
        Ok(policy)
    }
}

fn seconds(value: &str) -> Option<Duration> {
    let seconds: f64 = value.trim().parse().ok()?;
    ((1.0..=86400.0).contains(&seconds)).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_number_of_seconds() {
        assert_eq!(seconds(" 2.5 "), Some(Duration::from_millis(2500)));
        for value in ["", "0", "-1", "3m", "nan", "inf", "1e9"] {
            assert_eq!(seconds(value), None, "{value}");
        }
    }
}
