//! The client of an object store.

use std::{sync::Arc, time::Duration};

use object_store::{
    BackoffConfig, Error, ObjectStore, ObjectStoreScheme, RetryConfig, aws::AmazonS3Builder,
    azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder, http::HttpBuilder, path::Path,
};
use url::{Position, Url};

use crate::{RetryPolicy, retry_after::RetryAfter};

/// Longest time of a single request.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// A bound that time reaches first.
const MAX_RETRIES: usize = 1000;

/// The client for a URL, and the path below which its objects are. Later options override earlier ones.
pub(crate) fn open(
    url: &Url,
    options: &[(String, String)],
    policy: RetryPolicy,
) -> Result<(Arc<dyn ObjectStore>, Path), Error> {
    let (scheme, path) = ObjectStoreScheme::parse(url)?;
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: MAX_RETRIES,
        retry_timeout: policy.timeout,
    };
    // A request that stalls is repeated several times.
    let request_time = (policy.timeout / 6).min(REQUEST_TIME);
    let timeout = (
        "timeout".to_owned(),
        format!("{} ms", request_time.as_millis()),
    );
    macro_rules! client {
        ($builder:ty, $url:expr) => {{
            let builder = <$builder>::new()
                .with_url($url)
                .with_retry(retry)
                .with_http_connector(RetryAfter::new(policy));
            let options = std::iter::once(&timeout).chain(options);
            let builder = options.fold(builder, |builder, (key, value)| {
                match key.to_ascii_lowercase().parse() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                }
            });
            Arc::new(builder.build()?)
        }};
    }
    let store: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::AmazonS3 => client!(AmazonS3Builder, url.as_str()),
        ObjectStoreScheme::GoogleCloudStorage => client!(GoogleCloudStorageBuilder, url.as_str()),
        ObjectStoreScheme::MicrosoftAzure => client!(MicrosoftAzureBuilder, url.as_str()),
        ObjectStoreScheme::Http => client!(HttpBuilder, &url[..Position::BeforePath]),
        _ => Arc::from(object_store::parse_url(url)?.0),
    };
    Ok((store, path))
}
