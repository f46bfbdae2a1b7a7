use std::{future::Future, sync::mpsc, thread};

use tokio::{
    runtime::{Builder, Handle},
    task::AbortHandle,
};

/// A background thread that runs all requests of a store.
///
/// Any number of threads may wait for requests, inside or outside of a tokio runtime of their own.
pub(crate) struct Runtime {
    handle: Handle,
    stop: AbortHandle,
    thread: Option<thread::JoinHandle<()>>,
}

impl Runtime {
    /// # Errors
    /// The reason if the runtime or its thread could not be started.
    pub(crate) fn start() -> Result<Self, String> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let handle = runtime.handle().clone();
        let idle_task = runtime.spawn(std::future::pending::<()>());
        let stop = idle_task.abort_handle();
        let thread = thread::Builder::new()
            .name("vlp-store".into())
            .spawn(move || {
                // Ends with an error when the task is aborted; pending requests are dropped then.
                let _ = runtime.block_on(idle_task);
            })
            .map_err(|error| error.to_string())?;
        Ok(Self {
            handle,
            stop,
            thread: Some(thread),
        })
    }

    /// Waits for a request; `None` if it panicked or the thread has ended.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            // The receiver below is still alive.
            let _ = sender.send(request.await);
        });
        receiver.recv().ok()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop.abort();
        if let Some(thread) = self.thread.take() {
            // `wait` has already reported a panic.
            let _ = thread.join();
        }
    }
}
