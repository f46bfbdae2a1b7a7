//! Accepts connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::{Either, select};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::shared::Shared;

/// Time in which a connection must send the headers of its next request.
const HEADER_TIME: Duration = Duration::from_secs(30);
/// Wait after a connection that could not be accepted, for lack of file handles say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves connections until `stop` is ready. Then no more are accepted, and the requests that are active are answered, if they
/// do not take longer than a request may.
pub(crate) async fn listen(
    listener: TcpListener,
    router: Router,
    shared: Arc<Shared>,
    stop: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let connections = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(shared.config.connections));
    let mut stop = std::pin::pin!(stop);
    let stopped = loop {
        let accept = std::pin::pin!(accept(&listener, &permits));
        let (stream, permit) = match select(stop.as_mut(), accept).await {
            Either::Left((stopped, _)) => break stopped,
            Either::Right((Ok(accepted), _)) => accepted,
            Either::Right((Err(_), _)) => {
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are written whole: waiting for more only delays them.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .serve_connection(TokioIo::new(stream), service);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // A client that breaks off is no fault of the server.
            let _ = connection.await;
            drop(permit);
        });
    };
    shared.stop();
    drop(listener);
    let _ = timeout(shared.config.timeout, connections.shutdown()).await;
    stopped
}

/// The next connection, once fewer than the most are open.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await;
    let permit = permit.map_err(io::Error::other)?;
    Ok((listener.accept().await?.0, permit))
}
