//! Waits as long as a store asks for: its client repeats a request after delays of its own, however busy the store says it is.

use std::time::Duration;

use async_trait::async_trait;
use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
        ReqwestConnector,
    },
};

use crate::RetryPolicy;

/// Longest wait.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Makes clients that return a response with `Retry-After` only when that time is over.
#[derive(Debug)]
pub(crate) struct RetryAfter {
    max_wait: Duration,
}

impl RetryAfter {
    /// Waits for a minute at most, and for a third of the time after which nothing is tried again.
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Self {
            max_wait: MAX_WAIT.min(policy.timeout / 3),
        }
    }
}

impl HttpConnector for RetryAfter {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(PatientService {
            client: ReqwestConnector::default().connect(options)?,
            max_wait: self.max_wait,
        }))
    }
}

#[derive(Debug)]
struct PatientService {
    client: HttpClient,
    max_wait: Duration,
}

#[async_trait]
impl HttpService for PatientService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.client.execute(request).await?;
        let header = response.headers().get("retry-after");
        let header = header.and_then(|value| value.to_str().ok());
        if let Some(wait) = header.and_then(|value| wait(response.status().as_u16(), value)) {
            tokio::time::sleep(wait.min(self.max_wait)).await;
        }
        Ok(response)
    }
}

/// How long a response with this status asks to be waited for. Object stores give seconds; a date is left to the client's own
/// delays.
fn wait(status: u16, retry_after: &str) -> Option<Duration> {
    let is_repeated = status == 429 || (500..600).contains(&status);
    let seconds = retry_after.trim().parse().ok()?;
    is_repeated.then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_stores_are_waited_for() {
        for (status, value, seconds) in [
            (429, "7", Some(7)),
            (503, " 120 ", Some(120)),
            (503, "18446744073709551616", None),
            (503, "Wed, 21 Oct 2015 07:28:00 GMT", None),
            (200, "7", None),
            (404, "7", None),
        ] {
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(wait(status, value), expected, "{status}, {value:?}");
        }
    }

    #[test]
    fn the_wait_is_limited() {
        let of_timeout = |seconds| {
            RetryAfter::new(RetryPolicy {
                timeout: Duration::from_secs(seconds),
                ..RetryPolicy::default()
            })
        };
        assert_eq!(of_timeout(3).max_wait, Duration::from_secs(1));
        assert_eq!(of_timeout(86400).max_wait, MAX_WAIT);
    }
}
