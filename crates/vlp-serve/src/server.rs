//! A server: connections on one thread, the models on the caller's.

use std::collections::HashSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use crate::config::ServeConfig;
use crate::engine;
use crate::error::ServeError;
use crate::http::{Shared, listen, router};
use crate::model::Model;

/// A server that listens, and does not answer yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Listens for clients of the models, which have different names.
    ///
    /// # Errors
    /// [`ServeError::NoModel`] without models, [`ServeError::Names`] if two have the same name, [`ServeError::Listen`] for an
    /// address that is not free.
    pub fn bind(models: Vec<Arc<dyn Model>>, config: ServeConfig) -> Result<Self, ServeError> {
        if models.is_empty() {
            return Err(ServeError::NoModel);
        }
        let mut names = HashSet::new();
        if let Some(model) = models
            .iter()
            .find(|model| !names.insert(&model.info().name))
        {
            return Err(ServeError::Names(model.info().name.clone()));
        }
        let address = config.address;
        let fail = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(fail)?;
        listener.set_nonblocking(true).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let shared = Shared::new(models, config).map_err(io::Error::other)?;
        Ok(Self {
            listener,
            address,
            shared: Arc::new(shared),
        })
    }

    /// The address it listens on, with the port that was free.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready and the last requests are answered. The models run on the calling thread.
    ///
    /// # Errors
    /// [`ServeError::System`] if the system refuses a thread, or the error of `stop`.
    pub fn run(
        self,
        stop: impl Future<Output = io::Result<()>> + Send + 'static,
    ) -> Result<(), ServeError> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(cores)
            .build()?;
        let Self {
            listener, shared, ..
        } = self;
        let connections = Arc::clone(&shared);
        let thread = thread::Builder::new().name("vlp-serve".into());
        let thread = thread.spawn(move || {
            let _close = CloseQueue(&connections);
            let stopped = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let router = router(&connections);
                listen(listener, router, Arc::clone(&connections), stop).await
            });
            // Without waiting for images that are still decoded for clients that have gone.
            runtime.shutdown_background();
            stopped
        })?;
        engine::run(
            &shared.queue,
            &shared.models,
            shared.config.max_batch,
            &shared.metrics,
        );
        let result = thread.join().map_err(|_| ServeError::Panicked)?;
        Ok(result?)
    }
}

/// Ends the models' thread when that of the connections ends, in whatever way.
struct CloseQueue<'a>(&'a Shared);

impl Drop for CloseQueue<'_> {
    fn drop(&mut self) {
        self.0.queue.close();
    }
}
