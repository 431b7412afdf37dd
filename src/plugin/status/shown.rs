//! The table and the JSON of `status`.

use serde_json::{Value, json};

use super::asked::{PodStatus, Said, Sidecar};
use crate::server::document::{ProbePart, ReasonPart};
use crate::table::{self, span};

/// The columns: the namespace, the pod, the kubelet's word, the sidecar's three, since when, why.
type Row = [String; 7];

const HEADER: [&str; 7] = ["NAMESPACE", "POD", "READY", "LIVE", "STARTED", "FOR", "REASON"];

/// Returns the table.
pub(super) fn table(pods: &[PodStatus], has_namespaces: bool) -> String {
    if pods.is_empty() {
        return "no pods\n".to_owned();
    }
    let rows = std::iter::once(HEADER.map(str::to_owned)).chain(pods.iter().flat_map(rows));
    if has_namespaces {
        return table::text(rows);
    }
    table::text(
        rows.map(|[_, pod, ready, live, started, since, why]| [pod, ready, live, started, since, why]),
    )
}

/// Returns what the table says without its times, to tell whether anything has changed.
pub(super) fn states(pods: &[PodStatus]) -> String {
    let row = |[namespace, pod, ready, live, started, _, why]: Row| {
        [namespace, pod, ready, live, started, why].join(" ")
    };
    pods.iter().flat_map(rows).map(row).collect::<Vec<_>>().join("\n")
}

/// Returns what is known as JSON, with each sidecar's document.
pub(super) fn json(pods: &[PodStatus]) -> String {
    let pods: Vec<Value> = pods.iter().map(object).collect();
    format!("{:#}\n", Value::Array(pods))
}

fn object(pod: &PodStatus) -> Value {
    let (sidecar, error) = match &pod.sidecar {
        Sidecar::Says(_, document) => (document.clone(), Value::Null),
        Sidecar::None => (Value::Null, json!("no sidecar")),
        Sidecar::Ended => (Value::Null, json!("ended")),
        Sidecar::Silent(why) => (Value::Null, json!(why)),
    };
    json!({
        "namespace": pod.namespace,
        "name": pod.name,
        "ready": pod.is_ready(),
        "ready_condition": pod.has_ready_condition,
        "sidecar": sidecar,
        "error": error,
    })
}

/// Returns a line for the pod and the first reason, and one for each further reason.
fn rows(pod: &PodStatus) -> Vec<Row> {
    let ready = if pod.has_ready_condition { "yes" } else { "no" };
    let row = |ready: &str, live: &str, started: &str, since: String, why: String| {
        let texts = [&pod.namespace, &pod.name, ready, live, started].map(str::to_owned);
        let [namespace, name, ready, live, started] = texts;
        [namespace, name, ready, live, started, since, why]
    };
    let unknown = |ready: &str, why: &str| vec![row(ready, "-", "-", String::new(), why.to_owned())];
    match &pod.sidecar {
        Sidecar::None => unknown(ready, "no sidecar"),
        Sidecar::Ended => unknown("-", "ended"),
        Sidecar::Silent(why) => unknown(ready, why),
        Sidecar::Says(said, _) => {
            let passes =
                |name| said.probes.iter().find(|probe| probe.probe == name).map(|probe| probe.passes);
            let word = |name| passes(name).map_or("-", |passes| if passes { "yes" } else { "no" });
            let mut reasons = reasons(said, pod.has_ready_condition).into_iter();
            let (since, why) = reasons.next().unwrap_or_default();
            let first = row(ready, word("liveness"), word("startup"), since, why);
            let further = |(since, why)| {
                let [namespace, name, ready, live, started] = [const { String::new() }; 5];
                [namespace, name, ready, live, started, since, why]
            };
            std::iter::once(first).chain(reasons.map(further)).collect()
        }
    }
}

/// Returns since when and why probes fail; since when all is well where none does.
fn reasons(said: &Said, has_ready_condition: bool) -> Vec<(String, String)> {
    let since = |probe: &ProbePart| probe.since.map(|since| span(said.now - since)).unwrap_or_default();
    let failing: Vec<_> = said.probes.iter().filter(|probe| !probe.passes).collect();
    if failing.is_empty() {
        let readiness = said.probes.iter().find(|probe| probe.probe == "readiness");
        let why = match (said.healthy, has_ready_condition) {
            (false, _) => "the sidecar does not get to run its checks",
            (true, false) => "the sidecar says ready, and the kubelet does not yet, or for another reason",
            (true, true) => "",
        };
        return vec![(readiness.map(since).unwrap_or_default(), why.to_owned())];
    }
    let reason = |probe: &&ProbePart| {
        let (since, name) = (since(probe), probe.probe.clone());
        let line = move |reason: &ReasonPart| {
            (since.clone(), format!("{name}: {}: {}", reason.check, reason.reason))
        };
        probe.reasons.iter().map(line).collect::<Vec<_>>()
    };
    failing.iter().flat_map(reason).collect()
}
