use std::{ops::Range, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use object_store::{Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, path::Path};
use url::Url;
use vlp_data::{
    DataError,
    shards::{Blob, Blobs},
};

use crate::{StoreError, runtime::Runtime};

/// How often, and after how long, a read that failed is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Attempts in a row that bring no byte, at least 1, before it is an error.
    pub attempts: u32,
    /// The pause before the second of them; each further one is twice as long.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for Retries {
    /// Six attempts, pauses of 0.2, 0.4, 0.8 seconds and so on, at most 10. They are for answers that were cut off;
    /// requests without an answer, or refused for now, the store's client repeats itself, for up to three minutes.
    fn default() -> Self {
        Self {
            attempts: 6,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
        }
    }
}

/// The objects below a URL: `s3://BUCKET/PREFIX`, `gs://`, `az://`, `https://`, `http://` or `file://`.
///
/// Any number of threads may read at once. A read that is cut off goes on from the byte where it stood, and only from an
/// object of the same ETag. Put a [`Cached`](vlp_data::shards::Cached) before it, as [`open`](crate::open) does: each read
/// is a request.
pub struct ObjectBlobs {
    url: String,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    retries: Retries,
    /// Whether it can be listed: not all HTTP servers can.
    lists: bool,
    runtime: Runtime,
}

impl ObjectBlobs {
    /// The place of a URL; credentials, region and endpoint from the variables `AWS_...`, `GOOGLE_...` and `AZURE_...`,
    /// such as `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT`, `AWS_ALLOW_HTTP`. Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`StoreError::Url`], [`StoreError::Open`] or [`StoreError::Thread`].
    pub fn open(url: &str) -> Result<Self, StoreError> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let ours = ["AWS_", "GOOGLE_", "AZURE_"];
            let ours = ours.iter().any(|prefix| name.starts_with(prefix));
            ours.then_some((name, value.into_string().ok()?))
        });
        Self::with_options(url, variables, Retries::default())
    }

    /// The place of a URL with options by the names of those variables, of any case, instead of the variables.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_options(
        url: &str,
        options: impl IntoIterator<Item = (String, String)>,
        retries: Retries,
    ) -> Result<Self, StoreError> {
        let wrong = |reason: String| StoreError::Url {
            url: url.into(),
            reason,
        };
        let parsed = Url::parse(url).map_err(|error| wrong(error.to_string()))?;
        if parsed.cannot_be_a_base() || parsed.query().is_some() {
            return Err(wrong("no place of objects".into()));
        }
        let web = matches!(parsed.scheme(), "http" | "https");
        let mut options: Vec<(String, String)> = options.into_iter().collect();
        if parsed.scheme() == "http" {
            // Whoever writes http:// means it.
            options.push(("allow_http".into(), "true".into()));
        }
        let (store, prefix) =
            object_store::parse_url_opts(&parsed, options).map_err(|source| StoreError::Open {
                url: url.into(),
                source,
            })?;
        let runtime = Runtime::start().map_err(|reason| StoreError::Thread {
            url: url.into(),
            reason,
        })?;
        Ok(Self {
            url: url.trim_end_matches('/').into(),
            store: Arc::from(store),
            prefix,
            retries,
            lists: !web,
            runtime,
        })
    }

    fn object(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    fn wait<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.runtime
            .wait(request)
            .ok_or_else(|| StoreError::Thread {
                url: self.url.clone(),
                reason: "a request ended without an answer".into(),
            })
    }

    fn path(&self, name: &str) -> Path {
        name.split('/')
            .fold(self.prefix.clone(), |path, part| path.join(part))
    }
}

fn blob(name: String, meta: &ObjectMeta) -> Blob {
    let changed = || meta.last_modified.timestamp_millis().to_string();
    Blob {
        name,
        bytes: meta.size,
        version: meta.e_tag.clone().unwrap_or_else(changed),
    }
}

impl Blobs for ObjectBlobs {
    fn name(&self) -> &str {
        &self.url
    }

    fn list(&self) -> Result<Option<Vec<Blob>>, DataError> {
        if !self.lists {
            return Ok(None);
        }
        let (store, prefix) = (self.store.clone(), self.prefix.clone());
        let request = async move { store.list_with_delimiter(Some(&prefix)).await };
        let listed = self.wait(request)?.map_err(|source| StoreError::Ask {
            url: self.url.clone(),
            source,
        })?;
        let one = |meta: &ObjectMeta| Some(blob(meta.location.filename()?.to_owned(), meta));
        let mut blobs: Vec<Blob> = listed.objects.iter().filter_map(one).collect();
        blobs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(blobs))
    }

    fn head(&self, name: &str) -> Result<Option<Blob>, DataError> {
        let (store, path) = (self.store.clone(), self.path(name));
        match self.wait(async move { store.head(&path).await })? {
            Ok(meta) => Ok(Some(blob(name.to_owned(), &meta))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(DataError::from(StoreError::Ask {
                url: self.object(name),
                source,
            })),
        }
    }

    fn read(&self, name: &str, start: u64, len: usize) -> Result<Vec<u8>, DataError> {
        if len == 0 {
            return Ok(Vec::new());
        }
        let range = start..start.saturating_add(len as u64);
        let reading = Reading {
            store: self.store.clone(),
            path: self.path(name),
            range: range.clone(),
            retries: self.retries,
            bytes: Vec::with_capacity(len),
            tag: None,
        };
        let failed = |(got, attempts, source)| StoreError::Read {
            url: self.object(name),
            range,
            got,
            attempts,
            source,
        };
        Ok(self.wait(reading.whole())?.map_err(failed)?)
    }
}

/// A range that is being read.
struct Reading {
    store: Arc<dyn ObjectStore>,
    path: Path,
    range: Range<u64>,
    retries: Retries,
    bytes: Vec<u8>,
    tag: Option<String>,
}

impl Reading {
    /// The whole range; or how much of it came, in how many attempts, and the last reason.
    async fn whole(mut self) -> Result<Vec<u8>, (u64, u32, Error)> {
        let (mut attempts, mut idle) = (0, 0);
        let mut pause = self.retries.first_pause;
        loop {
            let before = self.bytes.len();
            attempts += 1;
            let (cut, error) = match self.rest().await {
                Ok(()) => return Ok(self.bytes),
                Err(failed) => failed,
            };
            if self.bytes.len() > before {
                (idle, pause) = (0, self.retries.first_pause);
            } else {
                idle += 1;
            }
            if idle >= self.retries.attempts.max(1) || !cut {
                return Err((self.bytes.len() as u64, attempts, error));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.retries.longest_pause);
        }
    }

    /// One request for what is missing; whatever comes is kept. With an error comes whether an answer was cut off:
    /// requests without an answer the client has repeated itself.
    async fn rest(&mut self) -> Result<(), (bool, Error)> {
        let want = (self.range.end - self.range.start) as usize;
        let from = self.range.start + self.bytes.len() as u64;
        let options = GetOptions {
            range: Some((from..self.range.end).into()),
            if_match: self.tag.clone(),
            ..GetOptions::default()
        };
        let asked = self.store.get_opts(&self.path, options).await;
        let got = asked.map_err(|error| (false, error))?;
        if got.range.start != from {
            let reason = format!("bytes from {from} wanted, {:?} sent", got.range);
            return Err((false, generic(reason)));
        }
        self.tag.clone_from(&got.meta.e_tag);
        let mut stream = got.into_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| (true, error))?;
            let room = want - self.bytes.len();
            self.bytes
                .extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        if self.bytes.len() == want {
            return Ok(());
        }
        let missing = want - self.bytes.len();
        Err((
            true,
            generic(format!("the answer ended {missing} bytes early")),
        ))
    }
}

fn generic(reason: String) -> Error {
    Error::Generic {
        store: "vlp-store",
        source: reason.into(),
    }
}
