//! Prometheus: what checks publish is turned into series at each scrape, nothing is counted twice.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{HistogramOpts, IntCounterVec, Opts, Registry, TextEncoder};

use crate::board::{Board, Entry};
use crate::outcome::Kind;
use crate::probe::Probe;
use crate::status::{BUCKETS, Counts};
use crate::tracker::Health;
use crate::unix_time::UnixTime;

/// Buckets of `health_proxy_schedule_delay_seconds`.
const DELAY_BUCKETS: [f64; 8] = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0];

/// The handles of what is counted as it happens, and the registry of all.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// How late runs begin, in seconds.
    pub schedule_delay: prometheus::Histogram,
    /// Requests by route and status code.
    pub http_requests: IntCounterVec,
}

impl Metrics {
    /// An own registry with everything that does not depend on the checks.
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
        let build_info = prometheus::Gauge::with_opts(
            Opts::new("health_proxy_build_info", "Always 1; the version is in the label.")
                .const_label("version", env!("CARGO_PKG_VERSION")),
        )?;
        build_info.set(1.0);
        registry.register(Box::new(schedule_delay.clone()))?;
        registry.register(Box::new(http_requests.clone()))?;
        registry.register(Box::new(build_info))?;
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self { registry, schedule_delay, http_requests })
    }

    /// Adds the series of the checks on `board`.
    ///
    /// # Errors
    /// The board was added already.
    pub fn observe(&self, board: Arc<Board>) -> prometheus::Result<()> {
        self.registry.register(Box::new(BoardCollector(board)))
    }

    /// Everything in Prometheus' text format 0.0.4.
    ///
    /// # Errors
    /// A metric is wrongly described, which is our fault.
    pub fn encode(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Reads the board at each scrape.
struct BoardCollector(Arc<Board>);

impl Collector for BoardCollector {
    /// None: the names below are nobody else's, and the registry asks only to find that out.
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = of_sidecar(&self.0);
        families.extend(of_checks(&self.0));
        families
    }
}

fn of_sidecar(board: &Board) -> Vec<MetricFamily> {
    let probes =
        Probe::ALL.map(|probe| gauge(vec![label("probe", probe.as_str())], flag(board.passes(probe))));
    let incarnation = board.incarnation();
    let startup =
        board.started_at().map_or(Duration::ZERO, |at| at.saturating_duration_since(incarnation.began));
    vec![
        family(
            "health_proxy_probe_healthy",
            "Whether the probe passes: what its path answers.",
            MetricType::GAUGE,
            probes.into(),
        ),
        family(
            "health_proxy_startup_duration_seconds",
            "From the beginning of the incarnation until startup passed; 0 until then.",
            MetricType::GAUGE,
            vec![gauge(vec![], startup.as_secs_f64())],
        ),
        family(
            "health_proxy_incarnations_total",
            "Lives of the main container that were seen, the first included.",
            MetricType::COUNTER,
            vec![counter(vec![], float(incarnation.number))],
        ),
    ]
}

fn of_checks(board: &Board) -> Vec<MetricFamily> {
    let (moment, clock) = (board.moment(), UnixTime::now());
    let each = |name: &str, help: &str, kind: MetricType, series: &dyn Fn(&Entry, &mut Vec<Metric>)| {
        let mut metrics = Vec::new();
        board.entries().iter().for_each(|entry| series(entry, &mut metrics));
        family(name, help, kind, metrics)
    };
    let each_gauge = |name: &str, help: &str, value: &dyn Fn(&Entry) -> f64| {
        each(name, help, MetricType::GAUGE, &|entry, to| to.push(gauge(labels(entry), value(entry))))
    };
    vec![
        each_gauge(
            "health_proxy_check_healthy",
            "Whether the check is healthy, after thresholds.",
            &|entry| flag(entry.is_healthy(moment)),
        ),
        each_gauge(
            "health_proxy_check_stale",
            "Whether the check should have finished a run and has not.",
            &|entry| flag(entry.stale_for(moment).is_some()),
        ),
        each_gauge("health_proxy_check_consecutive_failures", "How many runs failed in a row.", &|entry| {
            f64::from(entry.consecutive_failures(moment))
        }),
        each_gauge(
            "health_proxy_check_failure_threshold",
            "How many failures make it unhealthy.",
            &|entry| f64::from(entry.check.timing.thresholds.failure),
        ),
        each_gauge("health_proxy_check_timeout_seconds", "After which a run has failed.", &|entry| {
            entry.check.timing.timeout.as_secs_f64()
        }),
        each_gauge(
            "health_proxy_check_last_success_timestamp_seconds",
            "When the check last passed, in Unix time; 0 before the first time.",
            &|entry| entry.status.borrow().last_success.map_or(0.0, |at| clock.of(at)),
        ),
        each(
            "health_proxy_check_tls_certificate_expiry_timestamp_seconds",
            "When the first certificate of the presented chain ends, in Unix time; 0 before one is seen.",
            MetricType::GAUGE,
            &certificate_expiry,
        ),
        each("health_proxy_check_runs_total", "Runs by result.", MetricType::COUNTER, &runs),
        each(
            "health_proxy_check_transitions_total",
            "Changes of the state after thresholds.",
            MetricType::COUNTER,
            &transitions,
        ),
        each(
            "health_proxy_check_duration_seconds",
            "How long runs took, failures included.",
            MetricType::HISTOGRAM,
            &durations,
        ),
    ]
}

fn certificate_expiry(entry: &Entry, to: &mut Vec<Metric>) {
    // A series of the checks with TLS alone.
    if let Some(seconds) = entry.status.borrow().certificate_expiry {
        #[expect(clippy::cast_precision_loss, reason = "exact for 285 million years")]
        to.push(gauge(labels(entry), seconds as f64));
    }
}

fn runs(entry: &Entry, to: &mut Vec<Metric>) {
    let status = entry.status.borrow();
    for kind in Kind::ALL {
        let labels = labelled(entry, "result", kind.as_str());
        to.push(counter(labels, float(status.counts.runs[kind.index()])));
    }
}

fn transitions(entry: &Entry, to: &mut Vec<Metric>) {
    let Counts { to_healthy, to_unhealthy, .. } = entry.status.borrow().counts;
    for (health, count) in [(Health::Healthy, to_healthy), (Health::Unhealthy, to_unhealthy)] {
        to.push(counter(labelled(entry, "to", health.as_str()), float(count)));
    }
}

fn durations(entry: &Entry, to: &mut Vec<Metric>) {
    let counts = &entry.status.borrow().counts;
    let mut cumulative = 0;
    let buckets = BUCKETS.iter().zip(counts.buckets).map(|(&bound, count)| {
        cumulative += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(cumulative);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(counts.runs.iter().sum());
    histogram.set_sample_sum(counts.duration.as_secs_f64());
    let mut metric = Metric::from_label(labels(entry));
    metric.set_histogram(histogram);
    to.push(metric);
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn gauge(labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = Metric::from_label(labels);
    metric.set_gauge(gauge);
    metric
}

fn counter(labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = Metric::from_label(labels);
    metric.set_counter(counter);
    metric
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

fn labels(entry: &Entry) -> Vec<LabelPair> {
    vec![label("check", &entry.check.name), label("probe", entry.check.probe.as_str())]
}

fn labelled(entry: &Entry, name: &str, value: &str) -> Vec<LabelPair> {
    let mut labels = labels(entry);
    labels.push(label(name, value));
    labels
}

fn flag(is_set: bool) -> f64 {
    f64::from(u8::from(is_set))
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus counts in floats too")]
fn float(count: u64) -> f64 {
    count as f64
}
