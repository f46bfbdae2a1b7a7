use std::{ops::Range, sync::Arc, time::Instant};

use futures_util::StreamExt as _;
use object_store::{Error, GetOptions, ObjectStore, path::Path};

use crate::{RetryPolicy, version::Changed, version::ObjectVersion};

/// Reads a byte range of an object; truncated responses are resumed.
pub(crate) struct RangeReader<C> {
    store: Arc<dyn ObjectStore>,
    path: Path,
    range: Range<u64>,
    retry_policy: RetryPolicy,
    /// Compares the version of each response with that of the first one.
    check: C,
    bytes: Vec<u8>,
}

/// Why a range could not be read completely.
pub(crate) enum RangeError {
    /// The object is another one now.
    Changed(Changed),
    /// No complete response came.
    Failed {
        received: u64,
        attempts: u32,
        source: Error,
    },
}

enum AttemptError {
    /// The response was truncated; another request may read the rest.
    Truncated(Error),
    /// There was no valid response. The client has already retried if that could help.
    Fatal(Error),
    Changed(Changed),
}

impl<C: Fn(ObjectVersion) -> Result<(), Changed>> RangeReader<C> {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        path: Path,
        range: Range<u64>,
        retry_policy: RetryPolicy,
        check: C,
    ) -> Self {
        let bytes = Vec::with_capacity((range.end - range.start) as usize);
        Self {
            store,
            path,
            range,
            retry_policy,
            check,
            bytes,
        }
    }

    pub(crate) async fn read(mut self) -> Result<Vec<u8>, RangeError> {
        let start = Instant::now();
        let (mut attempts, mut attempts_without_data) = (0, 0);
        let mut delay = self.retry_policy.initial_delay;
        loop {
            let received = self.bytes.len();
            attempts += 1;
            let (is_fatal, source) = match self.read_rest().await {
                Ok(()) => return Ok(self.bytes),
                Err(AttemptError::Truncated(error)) => (false, error),
                Err(AttemptError::Fatal(error)) => (true, error),
                Err(AttemptError::Changed(changed)) => return Err(RangeError::Changed(changed)),
            };
            if self.bytes.len() > received {
                (attempts_without_data, delay) = (0, self.retry_policy.initial_delay);
            } else {
                attempts_without_data += 1;
            }
            if is_fatal
                || attempts_without_data >= self.retry_policy.max_attempts.max(1)
                // However little comes with each response, the read ends.
                || start.elapsed() >= self.retry_policy.timeout
            {
                return Err(RangeError::Failed {
                    received: self.bytes.len() as u64,
                    attempts,
                    source,
                });
            }
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(self.retry_policy.max_delay);
        }
    }

    /// Requests the missing bytes once and appends what is received.
    async fn read_rest(&mut self) -> Result<(), AttemptError> {
        let len = (self.range.end - self.range.start) as usize;
        let start = self.range.start + self.bytes.len() as u64;
        let options = GetOptions {
            range: Some((start..self.range.end).into()),
            ..GetOptions::default()
        };
        let response = self.store.get_opts(&self.path, options).await;
        let response = response.map_err(AttemptError::Fatal)?;
        // Not left to `If-Match`, which never matches a weak ETag.
        (self.check)(ObjectVersion::of(&response.meta)).map_err(AttemptError::Changed)?;
        if response.range.start != start {
            let reason = format!(
                "requested bytes from {start}, received {:?}",
                response.range
            );
            return Err(AttemptError::Fatal(error(reason)));
        }
        let mut stream = response.into_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(AttemptError::Truncated)?;
            let missing = len - self.bytes.len();
            self.bytes
                .extend_from_slice(&chunk[..chunk.len().min(missing)]);
        }
        let missing = len - self.bytes.len();
        if missing == 0 {
            return Ok(());
        }
        let reason = format!("the response ended {missing} bytes early");
        Err(AttemptError::Truncated(error(reason)))
    }
}

fn error(reason: String) -> Error {
    Error::Generic {
        store: "vlp-store",
        source: reason.into(),
    }
}
