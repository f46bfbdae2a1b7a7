//! Accepts connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::{Either, select};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::client_stream::{ClientStream, StreamLimits};
use super::places::{Place, Places};
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
    let places = Places::new(shared.config.connections);
    let limits = StreamLimits {
        stall: shared.config.timeout,
        // A body that is refused as too large may be twice as large as it may.
        linger: shared.config.max_body_bytes.saturating_mul(2),
    };
    let mut stop = std::pin::pin!(stop);
    let stopped = loop {
        let accept = std::pin::pin!(accept(&listener, &places));
        let (stream, place) = match select(stop.as_mut(), accept).await {
            Either::Left((stopped, _)) => break stopped,
            Either::Right((Ok(accepted), _)) => accepted,
            Either::Right((Err(_), _)) => {
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers are written whole: waiting for more only delays them.
        let _ = stream.set_nodelay(true);
        let stream = ClientStream::new(stream, limits, Arc::clone(&place.activity));
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(serve(stream, place, service, connections.watcher()));
    };
    shared.stop();
    drop(listener);
    let _ = timeout(shared.config.timeout, connections.shutdown()).await;
    stopped
}

/// The next connection and its place.
async fn accept(listener: &TcpListener, places: &Places) -> io::Result<(TcpStream, Place)> {
    let (stream, _) = listener.accept().await?;
    Ok((stream, places.take().await?))
}

/// Serves a connection until its client, the server or a newer connection ends it.
async fn serve(
    stream: ClientStream,
    place: Place,
    service: TowerToHyperService<Router>,
    watcher: Watcher,
) {
    let activity = &place.activity;
    let service = service_fn(|request: Request<Incoming>| {
        activity.begin();
        let answer = service.call(request);
        async {
            let answer = answer.await;
            activity.answered();
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .serve_connection(TokioIo::new(stream), service);
    let connection = std::pin::pin!(watcher.watch(connection));
    let ended = std::pin::pin!(activity.ended());
    // A client that breaks off is no fault of the server.
    let _ = select(connection, ended).await;
}
