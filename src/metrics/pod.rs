//! The metrics of the probes and of the main containers.

use prometheus::proto::{LabelPair, MetricFamily, MetricType};

use super::messages::{self, number};
use crate::container::Container;
use crate::pod::{Pod, Scope};
use crate::probe::Probe;

/// Returns every metric of the pod that is not about one check.
pub(super) fn collect(pod: &Pod) -> [MetricFamily; 3] {
    [probes(pod), startup(pod), incarnations(pod)]
}

fn probes(pod: &Pod) -> MetricFamily {
    let scopes = pod.containers().enumerate().filter_map(|(place, container)| {
        let name = container.name()?;
        Some((Some(name), Scope::Container(place)))
    });
    let series = [(None, Scope::Pod)].into_iter().chain(scopes).flat_map(|(container, scope)| {
        Probe::ALL.map(|probe| {
            let labels = messages::labels([("app_container", container), ("probe", Some(probe.as_str()))]);
            messages::gauge(labels, pod.passes_as_known(probe, scope).into())
        })
    });
    let help = "Whether the probe passes: what its path answers.";
    messages::family("health_proxy_probe_healthy", help, MetricType::GAUGE, series.collect())
}

fn startup(pod: &Pod) -> MetricFamily {
    let series = pod.containers().enumerate().map(|(place, container)| {
        let began = container.incarnation().began;
        let startup = pod.started_at(place).map(|at| at.saturating_duration_since(began));
        messages::gauge(labels(container), startup.unwrap_or_default().as_secs_f64())
    });
    messages::family(
        "health_proxy_startup_duration_seconds",
        "From the beginning of the incarnation until startup passed; 0 until then.",
        MetricType::GAUGE,
        series.collect(),
    )
}

fn incarnations(pod: &Pod) -> MetricFamily {
    let lives = |container: &Container| number(container.incarnation().number);
    let series = pod.containers().map(|container| messages::counter(labels(container), lives(container)));
    messages::family(
        "health_proxy_incarnations_total",
        "Lives of the main container that were seen, the first included.",
        MetricType::COUNTER,
        series.collect(),
    )
}

fn labels(container: &Container) -> Vec<LabelPair> {
    messages::labels([("app_container", container.name())])
}
