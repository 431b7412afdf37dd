//! The crate's messages, each in one expression.

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// Returns a family of series.
pub(super) fn family(name: &str, help: &str, kind: MetricType, series: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(series);
    family
}

/// Returns the labels of a series, without those that have no value.
pub(super) fn labels<const COUNT: usize>(labels: [(&str, Option<&str>); COUNT]) -> Vec<LabelPair> {
    let pair = |(name, value): (&str, Option<&str>)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value?.to_owned());
        Some(pair)
    };
    labels.into_iter().filter_map(pair).collect()
}

/// Returns a series of a gauge.
pub(super) fn gauge(labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut series = Metric::from_gauge(gauge);
    series.set_label(labels);
    series
}

/// Returns a series of a counter.
pub(super) fn counter(labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut series = Metric::from_label(labels);
    series.set_counter(counter);
    series
}

/// Returns a series of a histogram: `sum` of all values, `count` of them, and the upper bound of each bucket with how
/// many values are in it and those below.
pub(super) fn histogram(
    labels: Vec<LabelPair>,
    sum: f64,
    count: u64,
    buckets: impl Iterator<Item = (f64, u64)>,
) -> Metric {
    let mut histogram = Histogram::default();
    histogram.set_sample_sum(sum);
    histogram.set_sample_count(count);
    histogram.set_bucket(buckets.map(bucket).collect());
    let mut series = Metric::from_label(labels);
    series.set_histogram(histogram);
    series
}

fn bucket((upper_bound, cumulative_count): (f64, u64)) -> Bucket {
    let mut bucket = Bucket::default();
    bucket.set_upper_bound(upper_bound);
    bucket.set_cumulative_count(cumulative_count);
    bucket
}

/// Returns a count as Prometheus has it.
#[expect(clippy::cast_precision_loss, reason = "all numbers of Prometheus are floats, exact up to 2^53")]
pub(super) const fn number(count: u64) -> f64 {
    count as f64
}
