use std::ops::Range;

use vlp_data::DataError;

/// What can go wrong between an object store and a shard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The URL is none, or of a store that is not known.
    #[error("{url}: {reason}; it must be s3://, gs://, az://, https://, http:// or file://")]
    Url {
        /// The URL as it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store cannot be used as it is configured: credentials, region, endpoint.
    #[error("{url}: {source}")]
    Open {
        /// The place.
        url: String,
        /// The store's reason.
        source: object_store::Error,
    },
    /// The objects of a place could not be listed, or one of them not be found out about.
    #[error("{url}: {source}")]
    Ask {
        /// The place or the object.
        url: String,
        /// The store's reason.
        source: object_store::Error,
    },
    /// A range of an object could not be read whole.
    #[error(
        "{url}: bytes {} to {}: {got} of them came in {attempts} attempts; the last: {source}",
        range.start, range.end
    )]
    Read {
        /// The object.
        url: String,
        /// The bytes that were wanted.
        range: Range<u64>,
        /// How many of them came.
        got: u64,
        /// How often it was tried.
        attempts: u32,
        /// The store's last reason.
        source: object_store::Error,
    },
    /// The thread that speaks with the store is not there.
    #[error("{url}: {reason}")]
    Thread {
        /// The place.
        url: String,
        /// What became of it.
        reason: String,
    },
}

impl StoreError {
    /// The place or object that it is about.
    pub fn url(&self) -> &str {
        match self {
            Self::Url { url, .. }
            | Self::Open { url, .. }
            | Self::Ask { url, .. }
            | Self::Read { url, .. }
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
