use std::time::Duration;

/// Number and delays of the attempts to read a byte range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Consecutive attempts without any data after which the read fails, at least 1.
    pub max_attempts: u32,
    /// Delay before the first retry; it doubles with each further one.
    pub initial_delay: Duration,
    /// Largest delay.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    /// Six attempts with delays of 0.2, 0.4, 0.8 seconds and so on, at most 10 seconds.
    ///
    /// These concern truncated responses. Requests that fail without a response are retried by the `object_store`
    /// client, for up to three minutes.
    fn default() -> Self {
        Self {
            max_attempts: 6,
            initial_delay: Duration::from_millis(200),
            max_delay: Duration::from_secs(10),
        }
    }
}
