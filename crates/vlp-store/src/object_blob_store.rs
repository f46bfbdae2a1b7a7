use std::{fmt, sync::Arc};

use object_store::{
    Error, ObjectMeta, ObjectStore, ObjectStoreExt as _, path::Path, path::PathPart,
};
use url::Url;
use vlp_data::{
    DataError,
    shards::{Blob, BlobStore},
};

use crate::{
    ObjectVersion, RetryPolicy, StoreError, client,
    range_reader::{RangeError, RangeReader},
    runtime::Runtime,
    version::{Changed, Versions},
};

/// The objects below a URL: `s3://BUCKET/PREFIX`, `gs://`, `az://`, `https://`, `http://` or `file://`.
///
/// Any number of threads may read at once. A truncated read resumes where it stopped. An object whose length, ETag or, without
/// ETags, time of modification differs from those of the first response about it is an error: [`StoreError::Changed`].
///
/// Each read is a request; wrap the store in a [`CachedBlobStore`](vlp_data::shards::CachedBlobStore) as
/// [`open`](crate::open) does.
pub struct ObjectBlobStore {
    url: String,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    retry_policy: RetryPolicy,
    /// False for HTTP, as not all servers can list files.
    can_list: bool,
    /// Whether a list of objects has the ETags of other responses.
    lists_e_tags: bool,
    versions: Arc<Versions>,
    runtime: Runtime,
}

impl fmt::Debug for ObjectBlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectBlobStore")
            .field("url", &self.url)
            .field("retry_policy", &self.retry_policy)
            .finish_non_exhaustive()
    }
}

impl ObjectBlobStore {
    /// Opens the store at a URL without sending a request.
    ///
    /// Credentials, region and endpoint are read from the environment variables `AWS_...`, `GOOGLE_...` and `AZURE_...`,
    /// such as `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT` and `AWS_ALLOW_HTTP`.
    /// [`VLP_STORE_TIMEOUT`](RetryPolicy::from_environment) limits for how long requests to a store that does not respond are
    /// retried.
    ///
    /// # Errors
    /// [`StoreError::Url`], [`StoreError::Setting`], [`StoreError::Open`] or [`StoreError::Thread`].
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let options = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let prefixes = ["AWS_", "GOOGLE_", "AZURE_"];
            let is_option = prefixes.iter().any(|prefix| name.starts_with(prefix));
            is_option.then_some((name, value.into_string().ok()?))
        });
        Self::with_options(url, options, RetryPolicy::from_environment()?)
    }

    /// Like [`open`](Self::open), with options instead of environment variables. Their names are those of the variables,
    /// in any case.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_options(
        url: &str,
        options: impl IntoIterator<Item = (String, String)>,
        retry_policy: RetryPolicy,
    ) -> Result<Self, StoreError> {
        let invalid = |reason: String| StoreError::Url {
            url: url.into(),
            reason,
        };
        let parsed = Url::parse(url).map_err(|error| invalid(error.to_string()))?;
        if parsed.cannot_be_a_base() || parsed.query().is_some() {
            return Err(invalid("not the URL of an object store".into()));
        }
        let is_http = matches!(parsed.scheme(), "http" | "https");
        let mut options: Vec<(String, String)> = options.into_iter().collect();
        if parsed.scheme() == "http" {
            // The scheme is explicit consent to unencrypted HTTP.
            options.push(("allow_http".into(), "true".into()));
        }
        let (store, prefix) =
            client::open(&parsed, &options, retry_policy).map_err(|source| StoreError::Open {
                url: url.into(),
                source,
            })?;
        let runtime = Runtime::start().map_err(|reason| StoreError::Thread {
            url: url.into(),
            reason,
        })?;
        Ok(Self {
            url: url.trim_end_matches('/').into(),
            store,
            prefix,
            retry_policy,
            can_list: !is_http,
            lists_e_tags: matches!(parsed.scheme(), "s3" | "s3a" | "file"),
            versions: Arc::default(),
            runtime,
        })
    }

    fn object_url(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    fn object_path(&self, name: &str) -> Path {
        let join = |path: Path, part| match PathPart::parse(part) {
            // As it is listed; `From<&str>` would encode characters such as `#`.
            Ok(part) => path.join(part),
            Err(_) => path.join(part),
        };
        name.split('/').fold(self.prefix.clone(), join)
    }

    fn check_version(&self, name: &str, version: ObjectVersion) -> Result<(), StoreError> {
        let checked = self.versions.check(name, version);
        checked.map_err(|changed| self.changed(name, changed))
    }

    fn changed(&self, name: &str, Changed { first, now }: Changed) -> StoreError {
        StoreError::Changed {
            url: self.object_url(name),
            first: Box::new(first),
            now: Box::new(now),
        }
    }

    fn wait<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.runtime
            .wait(request)
            .ok_or_else(|| StoreError::Thread {
                url: self.url.clone(),
                reason: "a request panicked".into(),
            })
    }
}

fn blob(name: String, metadata: &ObjectMeta) -> Blob {
    let modified = || metadata.last_modified.timestamp_millis().to_string();
    Blob {
        name,
        bytes: metadata.size,
        version: metadata.e_tag.clone().unwrap_or_else(modified),
    }
}

impl BlobStore for ObjectBlobStore {
    fn name(&self) -> &str {
        &self.url
    }

    fn list(&self) -> Result<Option<Vec<Blob>>, DataError> {
        if !self.can_list {
            return Ok(None);
        }
        let (store, prefix) = (self.store.clone(), self.prefix.clone());
        let request = async move { store.list_with_delimiter(Some(&prefix)).await };
        let list = self.wait(request)?.map_err(|source| StoreError::Metadata {
            url: self.url.clone(),
            source,
        })?;
        let named_blob = |metadata: &ObjectMeta| {
            let name = metadata.location.filename()?.to_owned();
            Some(blob(name, metadata))
        };
        let mut blobs = vec![];
        for metadata in &list.objects {
            let Some(blob) = named_blob(metadata) else {
                continue;
            };
            let version = ObjectVersion::listed(metadata, self.lists_e_tags);
            self.check_version(&blob.name, version)?;
            blobs.push(blob);
        }
        blobs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(blobs))
    }

    fn head(&self, name: &str) -> Result<Option<Blob>, DataError> {
        let (store, path) = (self.store.clone(), self.object_path(name));
        match self.wait(async move { store.head(&path).await })? {
            Ok(metadata) => {
                self.check_version(name, ObjectVersion::of(&metadata))?;
                Ok(Some(blob(name.to_owned(), &metadata)))
            }
            Err(Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(DataError::from(StoreError::Metadata {
                url: self.object_url(name),
                source,
            })),
        }
    }

    fn read(&self, name: &str, start: u64, len: usize) -> Result<Vec<u8>, DataError> {
        if len == 0 {
            return Ok(Vec::new());
        }
        let range = start..start.saturating_add(len as u64);
        let (store, path) = (self.store.clone(), self.object_path(name));
        let (versions, object) = (self.versions.clone(), name.to_owned());
        let check = move |version| versions.check(&object, version);
        let reader = RangeReader::new(store, path, range.clone(), self.retry_policy, check);
        let read_error = |error: RangeError| match error {
            RangeError::Changed(changed) => self.changed(name, changed),
            RangeError::Failed {
                received,
                attempts,
                source,
            } => StoreError::Read {
                url: self.object_url(name),
                range,
                received,
                attempts,
                source,
            },
        };
        Ok(self.wait(reader.read())?.map_err(read_error)?)
    }
}
