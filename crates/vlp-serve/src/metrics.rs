//! Counters and durations, in Prometheus's text format.

use std::time::Duration;

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

/// Upper bounds of the buckets of durations, in seconds.
const SECONDS: [f64; 12] = [
    0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
];
/// Upper bounds of the buckets of batch sizes.
const SIZES: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// The server's counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    batch_size: HistogramVec,
    batch_seconds: HistogramVec,
    /// Requests between their first byte and their answer.
    pub(crate) active: IntGauge,
    /// Tasks that wait for a model.
    pub(crate) waiting: IntGauge,
    /// Panics of requests or of the model.
    pub(crate) panics: IntCounter,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let histogram = |name: &str, help: &str, labels: &[&str], buckets: &[f64]| {
            let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            let histogram = HistogramVec::new(options, labels)?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let request_seconds = histogram(
            "vlp_request_seconds",
            "Time from a request's headers to its answer.",
            &["route"],
            &SECONDS,
        )?;
        let batch_size = histogram(
            "vlp_batch_size",
            "Images or texts that the model computed together.",
            &["model", "task"],
            &SIZES,
        )?;
        let batch_seconds = histogram(
            "vlp_batch_seconds",
            "Time of a batch in the model.",
            &["model", "task"],
            &SECONDS,
        )?;
        let requests = IntCounterVec::new(
            Opts::new("vlp_requests_total", "Requests by route and status."),
            &["route", "status"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        let active = IntGauge::new("vlp_active_requests", "Requests that are not answered yet.")?;
        registry.register(Box::new(active.clone()))?;
        let waiting = IntGauge::new(
            "vlp_waiting_tasks",
            "Images or texts that wait for a model.",
        )?;
        registry.register(Box::new(waiting.clone()))?;
        let panics = IntCounter::new("vlp_panics_total", "Panics, each answered with 500.")?;
        registry.register(Box::new(panics.clone()))?;
        Ok(Self {
            requests,
            request_seconds,
            batch_size,
            batch_seconds,
            active,
            waiting,
            panics,
            registry,
        })
    }

    pub(crate) fn request(&self, route: &str, status: u16, time: Duration) {
        self.requests
            .with_label_values(&[route, &status.to_string()])
            .inc();
        self.request_seconds
            .with_label_values(&[route])
            .observe(time.as_secs_f64());
    }

    pub(crate) fn batch(&self, model: &str, task: &str, size: usize, time: Duration) {
        let labels = [model, task];
        self.batch_size
            .with_label_values(&labels)
            .observe(size as f64);
        self.batch_seconds
            .with_label_values(&labels)
            .observe(time.as_secs_f64());
    }

    /// All of them as text.
    pub(crate) fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = vec![];
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
