use std::{future::Future, sync::mpsc, thread};

use tokio::{
    runtime::{Builder, Handle},
    task::AbortHandle,
};

/// A thread of its own that runs all requests of a store: any number of threads may wait for theirs, and none of them
/// needs a runtime, or may not be in one.
pub(crate) struct Runtime {
    handle: Handle,
    stop: AbortHandle,
    thread: Option<thread::JoinHandle<()>>,
}

impl Runtime {
    /// # Errors
    /// Where the system gives no thread, in words.
    pub(crate) fn start() -> Result<Self, String> {
        let built = Builder::new_current_thread().enable_all().build();
        let runtime = built.map_err(|error| error.to_string())?;
        let handle = runtime.handle().clone();
        let running = runtime.spawn(std::future::pending::<()>());
        let stop = running.abort_handle();
        let thread = thread::Builder::new()
            .name("vlp-store".into())
            .spawn(move || {
                // It ends when it is aborted; requests that still run are dropped then.
                let _ = runtime.block_on(running);
            })
            .map_err(|error| error.to_string())?;
        Ok(Self {
            handle,
            stop,
            thread: Some(thread),
        })
    }

    /// Waits for a request. `None` where the thread ended, or the request panicked.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            // The receiver waits below.
            let _ = sender.send(request.await);
        });
        receiver.recv().ok()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop.abort();
        if let Some(thread) = self.thread.take() {
            // A panic in it was answered by `None` already.
            let _ = thread.join();
        }
    }
}
