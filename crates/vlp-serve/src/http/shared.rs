//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;

use super::hosts::Hosts;
use crate::config::ServeConfig;
use crate::engine::Queue;
use crate::metrics::Metrics;
use crate::model::Model;

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) models: Vec<Arc<dyn Model>>,
    pub(crate) config: ServeConfig,
    pub(crate) hosts: Hosts,
    pub(crate) queue: Queue,
    pub(crate) metrics: Metrics,
    /// A permit for each request at once.
    pub(crate) admission: Arc<Semaphore>,
    is_stopping: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        models: Vec<Arc<dyn Model>>,
        config: ServeConfig,
    ) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::new()?;
        Ok(Self {
            hosts: Hosts::new(&config.allowed_hosts),
            queue: Queue::new(metrics.waiting.clone()),
            metrics,
            admission: Arc::new(Semaphore::new(config.queue)),
            is_stopping: AtomicBool::new(false),
            models,
            config,
        })
    }

    /// From now on, requests are refused.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}
