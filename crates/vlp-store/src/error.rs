use std::ops::Range;

use vlp_data::DataError;

use crate::ObjectVersion;

/// An error of an object store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The URL is malformed, or its scheme is not supported.
    #[error("{url}: {reason}; it must be s3://, gs://, az://, https://, http:// or file://")]
    Url {
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An environment variable has no valid value.
    #[error("{name}: {reason}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// Its value and what is allowed.
        reason: String,
    },
    /// The store cannot be used with this configuration: credentials, region, endpoint.
    #[error("{url}: {source}")]
    Open {
        /// The URL of the store.
        url: String,
        /// The cause.
        source: object_store::Error,
    },
    /// The objects could not be listed, or the metadata of one could not be read.
    #[error("{url}: {source}")]
    Metadata {
        /// The URL of the store or object.
        url: String,
        /// The cause.
        source: object_store::Error,
    },
    /// A byte range of an object could not be read completely.
    #[error(
        "{url}: received {received} bytes of {} to {} in {attempts} attempts; the last: {source}",
        range.start, range.end
    )]
    Read {
        /// The URL of the object.
        url: String,
        /// The requested bytes.
        range: Range<u64>,
        /// Number of bytes received.
        received: u64,
        /// Number of requests.
        attempts: u32,
        /// The cause of the last failure.
        source: object_store::Error,
    },
    /// An object is not the one that was read before.
    #[error(
        "{url}: changed while it was being read, from {first} to {now}: restore the first version, or start again with the new one"
    )]
    Changed {
        /// The URL of the object.
        url: String,
        /// The version that was read first.
        first: Box<ObjectVersion>,
        /// The version of the last response.
        now: Box<ObjectVersion>,
    },
    /// The background thread of the store could not be started, or a request panicked.
    #[error("{url}: {reason}")]
    Thread {
        /// The URL of the store.
        url: String,
        /// The cause.
        reason: String,
    },
}

impl StoreError {
    /// The URL of the store or object; empty if the error is about none.
    pub fn url(&self) -> &str {
        match self {
            Self::Setting { .. } => "",
            Self::Url { url, .. }
            | Self::Open { url, .. }
            | Self::Metadata { url, .. }
            | Self::Read { url, .. }
            | Self::Changed { url, .. }
            | Self::Thread { url, .. } => url,
        }
    }
}

impl From<StoreError> for DataError {
    fn from(error: StoreError) -> Self {
        Self::Store {
            source: Box::new(error),
        }
    }
}
