//! Errors of starting a server.

use std::net::SocketAddr;

/// Why a server cannot start or has ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// There is no model to serve.
    #[error("no model to serve")]
    NoModel,
    /// Two models with one name.
    #[error("two models are called {0}")]
    Names(String),
    /// The address is in use, not one of this machine's, or not allowed.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// Threads or signal handlers that the system refuses.
    #[error("cannot serve: {0}")]
    System(#[from] std::io::Error),
    /// The thread of the connections has panicked.
    #[error("the server's thread has panicked")]
    Panicked,
}
