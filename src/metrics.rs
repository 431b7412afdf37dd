//! Prometheus: what checks publish is turned into series at each scrape, nothing is counted twice.
//!
//! The registry keeps what there is once. It would gather all series of all checks at the same time, so these are
//! collected and encoded beside it, a family of a few checks after the other.

mod checks;
mod messages;
mod pod;
mod process;
mod scrape;

use std::sync::Arc;

use prometheus::{HistogramOpts, IntCounterVec, Opts, Registry};

use crate::handover::Restarts;
use crate::pod::Pod;

use process::ProcessCollector;
pub use scrape::Scrape;

/// Buckets of `health_proxy_schedule_delay_seconds`.
const DELAY_BUCKETS: [f64; 8] = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0];

/// The handles of what is counted as it happens, and the registry of all.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    worker_restarts: IntCounterVec,
    /// How late runs begin, in seconds.
    pub schedule_delay: prometheus::Histogram,
    /// Requests by route and status code.
    pub http_requests: IntCounterVec,
}

impl Metrics {
    /// Returns an own registry with everything that does not depend on the checks.
    ///
    /// # Errors
    /// A metric is wrongly described, which is our fault.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let delay = HistogramOpts::new(
            "health_proxy_schedule_delay_seconds",
            "How late runs begin, after their due time or the end of the run before.",
        );
        let schedule_delay = prometheus::Histogram::with_opts(delay.buckets(DELAY_BUCKETS.to_vec()))?;
        let requests =
            Opts::new("health_proxy_http_requests_total", "Requests answered, by route and status code.");
        let http_requests = IntCounterVec::new(requests, &["path", "code"])?;
        let restarts =
            Opts::new("health_proxy_worker_restarts_total", "Workers that were replaced, by cause.");
        let worker_restarts = IntCounterVec::new(restarts, &["cause"])?;
        let build_info = prometheus::Gauge::with_opts(
            Opts::new("health_proxy_build_info", "Always 1; the version is in the label.")
                .const_label("version", env!("CARGO_PKG_VERSION")),
        )?;
        build_info.set(1.0);
        registry.register(Box::new(schedule_delay.clone()))?;
        registry.register(Box::new(http_requests.clone()))?;
        registry.register(Box::new(worker_restarts.clone()))?;
        registry.register(Box::new(build_info))?;
        registry.register(Box::new(ProcessCollector::starting()?))?;
        let metrics = Self { registry, worker_restarts, schedule_delay, http_requests };
        metrics.count_restarts(Restarts::default());
        Ok(metrics)
    }

    /// Adds what the supervisor counted before this worker; both series exist from the start.
    pub fn count_restarts(&self, restarts: Restarts) {
        self.worker_restarts.with_label_values(&["death"]).inc_by(restarts.deaths);
        self.worker_restarts.with_label_values(&["hang"]).inc_by(restarts.hangs);
    }

    /// Returns everything in Prometheus' text format 0.0.4, what the checks of `pod` published last.
    ///
    /// # Errors
    /// A metric is wrongly described, which is our fault.
    pub fn scrape(&self, pod: &Arc<Pod>) -> prometheus::Result<Scrape> {
        let mut families = self.registry.gather();
        families.extend(pod::collect(pod));
        Scrape::new(&families, Arc::clone(pod))
    }
}
