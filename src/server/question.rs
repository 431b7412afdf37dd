//! A caller's question about a probe: its query, and whether the kubelet asks.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::AppState;
use crate::pod::{Entry, Pod, Scope};
use crate::probe::Probe;

/// The longest time that a caller may wait for an answer.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The longest time that the answer that a container has started may take for the sake of its readiness.
const MAX_SETTLING: Duration = Duration::from_secs(1);

/// The header that has to carry the value of `HEALTH_PROXY_STARTUP_KEY`.
const KEY_HEADER: &str = "x-health-proxy-key";

/// The part of a URL behind the question mark.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) verbose: bool,
    pub(super) excluded: Vec<String>,
    pub(super) container: Option<String>,
    /// How long to wait until the container has started; other questions are answered at once.
    pub(super) wait: Duration,
}

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Self {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "verbose" => parsed.verbose = true,
                "exclude" => parsed.excluded.push(value.into_owned()),
                "container" => parsed.container = Some(value.into_owned()),
                "wait" => parsed.wait = wait(&value),
                _ => {}
            }
        }
        parsed
    }

    /// Returns whether the answer `ok` is all that is wanted.
    pub(super) fn is_plain(&self) -> bool {
        !self.verbose && self.excluded.is_empty()
    }

    /// Returns which part of `pod` is asked about; `None` for a container that no check names.
    pub(super) fn scope(&self, pod: &Pod) -> Option<Scope> {
        self.container.as_deref().map_or(Some(Scope::Pod), |name| pod.scope_of(name))
    }
}

/// Reads whole or broken seconds; what is no number is no time, and a longer one is cut.
fn wait(value: &str) -> Duration {
    let seconds = value.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.unwrap_or_default().min(MAX_WAIT)
}

/// Waits until the container has started, the time is over, or the sidecar exits.
pub(super) async fn wait_until_started(pod: &Pod, scope: Scope, wait: Duration) {
    if wait.is_zero() {
        return;
    }
    let deadline = Instant::now() + wait;
    let _caller = (!pod.passes(Probe::Startup, scope)).then(|| pod.lookout().hurry());
    let has_ended = || pod.passes(Probe::Startup, scope) || pod.is_shutting_down();
    if until(has_ended, pod.changes(), deadline).await {
        settle(pod, scope, deadline).await;
    }
}

/// Lets the first runs of the readiness checks end: the kubelet asks for them as soon as it is told of the startup, and
/// if there is no result yet, not again before a whole period.
async fn settle(pod: &Pod, scope: Scope, deadline: Instant) {
    let is_due = |entry: &Entry| entry.check.required && entry.is_first_result_due(Instant::now());
    let has_settled = || !pod.entries_of(Probe::Readiness, scope).any(is_due);
    let _ = until(has_settled, pod.changes(), deadline.min(Instant::now() + MAX_SETTLING)).await;
}

/// Waits until `condition` holds, and returns whether it does at `deadline`.
async fn until(condition: impl Fn() -> bool, mut changes: watch::Receiver<()>, deadline: Instant) -> bool {
    while !condition() {
        if !matches!(timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
            return condition();
        }
    }
    true
}

/// Returns whether the kubelet asks `asked`, and not a sidecar that only looks like it to apps and meshes. Its question
/// for the startup begins incarnations, so it may have to know a key.
pub(super) fn is_kubelet(state: &AppState, asked: Probe, headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let knows_key = || {
        let key = state.startup_key.as_deref().filter(|_| asked == Probe::Startup);
        key.is_none_or(|key| headers.get(KEY_HEADER).is_some_and(|given| given.as_bytes() == key.as_bytes()))
    };
    agent.starts_with("kube-probe/") && !agent.contains("health-proxy/") && knows_key()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_in_the_apiserver() {
        let query = |verbose, excluded: &[&str]| Query {
            verbose,
            excluded: excluded.iter().map(|&name| name.to_owned()).collect(),
            ..Query::default()
        };
        assert_eq!(Query::parse(None), query(false, &[]));
        assert_eq!(Query::parse(Some("verbose")), query(true, &[]));
        assert_eq!(Query::parse(Some("verbose=1&exclude=a&exclude=b%2Dc&x=y")), query(true, &["a", "b-c"]));
        assert_eq!(Query::parse(Some("container=web")).container.as_deref(), Some("web"));
    }

    #[test]
    fn a_wait_is_cut_at_thirty_seconds_and_nonsense_is_none() {
        for (value, seconds) in [
            ("9", 9.0),
            ("0.5", 0.5),
            ("30", 30.0),
            ("31", 30.0),
            ("1e9", 30.0),
            ("", 0.0),
            ("-1", 0.0),
            ("NaN", 0.0),
        ] {
            let query = Query::parse(Some(&format!("wait={value}")));
            assert_eq!(query.wait, Duration::from_secs_f64(seconds), "{value}");
        }
    }
}
