//! A server in a thread of the test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use vlp_serve::{Model, ServeConfig, ServeError, Server};

use crate::client::{Client, Response};
use crate::colors::{ALL_HEADS, Colors};

/// A server that is stopped when the test ends.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

/// The settings of tests: the defaults on a free port.
pub(crate) fn config() -> ServeConfig {
    let config = ServeConfig::default();
    let mut address = config.address;
    address.set_port(0);
    config.with_address(address)
}

impl Running {
    /// A server of one model with all heads.
    pub(crate) fn start(config: ServeConfig) -> (Self, Arc<Colors>) {
        let model = Arc::new(Colors::new("colors", &ALL_HEADS));
        (Self::serve(vec![model.clone()], config), model)
    }

    pub(crate) fn serve(models: Vec<Arc<dyn Model>>, config: ServeConfig) -> Self {
        let server = Server::bind(models, config).unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            server.run(async {
                let _ = stopped.await;
                Ok(())
            })
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.client().get(path)
    }

    pub(crate) fn post(&self, path: &str, body: &serde_json::Value) -> Response {
        self.client().post(path, body)
    }

    /// Waits until this many tasks wait for the model.
    pub(crate) fn await_tasks(&self, count: usize) {
        let line = format!("vlp_waiting_tasks {count}\n");
        while !self.get("/metrics").text().contains(&line) {}
    }

    /// Asks the server to stop.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits for the end of a stopped server.
    pub(crate) fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if !std::thread::panicking() {
            self.join();
        }
    }
}
