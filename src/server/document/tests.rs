use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::check::{self, Check};
use crate::container::Container;
use crate::life::{Incarnation, StartupPath};
use crate::lookout::{Lookout, Nudge};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::pod::{Entry, Pod, Scope, Visible};
use crate::probe::Probe;
use crate::server::AppState;
use crate::status::{MAX_HISTORY_RUNS, Run, Status};
use crate::witness::{Listeners, Sight};

const HOSTILE: &str = "<script>top secret</script>\u{1b}[2J\nanother\u{202e} line";

fn check(probe: Probe, name: &str) -> Check {
    Check { target: "http://localhost:8080/\u{1b}".to_owned(), ..check::tests::check(probe, name) }
}

/// Returns a state whose checks have had the given runs, all of them in the first incarnation.
fn state(details: bool, checks: impl IntoIterator<Item = (Check, Vec<Outcome>)>) -> AppState {
    let container = Arc::new(Container::new(None, Memory::default().place(1), &[]));
    let published = checks.into_iter().enumerate().map(|(place, (check, outcomes))| {
        let mut status = Status::new(&check, container.incarnation());
        for outcome in outcomes {
            let said = outcome.text().cloned();
            status.record(Run {
                began: Instant::now(),
                duration: Duration::from_micros(1500),
                outcome,
                said,
            });
        }
        let has_run = status.last.is_some();
        status.due = has_run.then(|| Instant::now() + check.timing.period);
        let (target, nudge): (Arc<dyn Visible>, _) = (Arc::new(Unseen), Arc::<Nudge>::default());
        let container = (0, Arc::clone(&container));
        Entry::new(
            place,
            Arc::new(check),
            watch::channel(status).1,
            container,
            target,
            nudge,
            &Sight::Unwitnessed,
        )
    });
    let (entries, lookout) = (published.collect(), Arc::<Lookout>::default());
    let changes = watch::Sender::new(());
    let pod = Pod::new(vec![Arc::clone(&container)], entries, lookout, changes, Memory::default().place(0));
    AppState {
        pod: Arc::new(pod),
        metrics: Metrics::new().unwrap(),
        details,
        is_status_private: false,
        startup_key: None,
    }
}

struct Unseen;

impl Visible for Unseen {
    fn look(&self, _: &Listeners) -> Sight {
        Sight::Unwitnessed
    }
}

fn failures(count: usize) -> Vec<Outcome> {
    vec![Outcome::failure(HOSTILE); count]
}

fn value(state: &AppState) -> Value {
    serde_json::to_value(Document::of(state)).unwrap()
}

/// Returns the same value with the name of its type for each leaf.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("boolean"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), shape(field))).collect(),
    }
}

/// Scripts rely on this: only ever add to it.
#[test]
fn the_shape_is_stable() {
    let state = state(true, [(check(Probe::Readiness, "db"), failures(3))]);
    let run = json!({"began": "number", "seconds": "number", "result": "string", "text": "string"});
    let mut failure = run.clone();
    failure["said"] = "string".into();
    let verdict = |since: &str, reasons: Value| json!({"probe": "string", "passes": "boolean", "since": since, "reasons": reasons});
    let expected = json!({
        "version": "string",
        "host": "string",
        "now": "number",
        "healthy": "boolean",
        "details": "boolean",
        "incarnation": {"number": "number", "began": "number", "startup_seconds": "number"},
        "probes": [
            verdict("null", json!([])),
            verdict("number", json!([{"check": "string", "reason": "string"}])),
            verdict("number", json!([])),
        ],
        "containers": [],
        "checks": [{
            "probe": "string",
            "name": "string",
            "container": "null",
            "target": "string",
            "required": "boolean",
            "state": "string",
            "since": "number",
            "phase": "string",
            "stale_seconds": "null",
            "reason": "string",
            "streak": {"passing": "boolean", "count": "number", "threshold": "number"},
            "last": run,
            "last_failure": failure,
            "next_run": "number",
            "runs": {"began": ["number", "number", "number"],
                     "seconds": ["number", "number", "number"],
                     "results": "string"},
            "timing": {
                "initial_delay_seconds": "number",
                "period_seconds": "number",
                "unhealthy_period_seconds": "number",
                "timeout_seconds": "number",
                "success_threshold": "number",
                "failure_threshold": "number",
            },
        }],
    });
    assert_eq!(shape(&value(&state)), expected);
}

#[test]
fn a_failing_check_tells_why_in_text_that_drives_nothing() {
    let document = value(&state(true, [(check(Probe::Readiness, "db"), failures(3))]));
    let line = "<script>top secret</script>\\u{1b}[2J another\\u{202e} line";
    let whole = "<script>top secret</script>\\u{1b}[2J\nanother\\u{202e} line";
    let db = &document["checks"][0];
    assert_eq!(document["probes"][1]["reasons"], json!([{"check": "db", "reason": line}]));
    assert_eq!(document["probes"][1]["since"], db["since"]);
    assert_eq!(db["reason"], line);
    assert_eq!(db["last"]["text"], line);
    assert_eq!((&db["last_failure"]["text"], &db["last_failure"]["said"]), (&json!(line), &json!(whole)));
    assert_eq!(db["target"], "http://localhost:8080/\\u{1b}");
    assert_eq!(db["streak"], json!({"passing": false, "count": 3, "threshold": 3}));
    assert_eq!((&db["state"], &db["phase"]), (&json!("unhealthy"), &json!("scheduled")));
    assert_eq!((&db["runs"]["results"], &db["runs"]["seconds"][0]), (&json!("fff"), &json!(0.0015)));
}

#[test]
fn without_details_no_reason_and_no_output_leaves() {
    let optional = Check { required: false, ..check(Probe::Readiness, "cache") };
    let warned = vec![Outcome::Warning(HOSTILE.into())];
    let timed_out = vec![Outcome::Timeout(HOSTILE.into())];
    let checks = [
        (check(Probe::Readiness, "db"), failures(3)),
        (optional, timed_out),
        (check(Probe::Liveness, "web"), warned),
        (check(Probe::Startup, "slow"), failures(30)),
    ];
    let state = state(false, checks);
    state.pod.drain();
    let text = value(&state).to_string();
    for word in ["script", "secret", "another", "draining", "no result", "slow:"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
    assert!(text.contains("reason withheld") && text.contains("\"details\":false"));
}

fn incarnation() -> Incarnation {
    Incarnation { id: 1, number: 1, began: Instant::now(), is_joined: false }
}

fn success() -> Run {
    Run { began: Instant::now(), duration: Duration::ZERO, outcome: Outcome::Success, said: None }
}

#[test]
fn phases() {
    let phase = |check: Check, change: fn(&mut Status)| {
        let mut status = Status::new(&check, incarnation());
        change(&mut status);
        made::phase(&check, &status, Instant::now())
    };
    let startup = || check(Probe::Startup, "web");
    assert_eq!(phase(startup(), |_| {}), "waiting");
    assert_eq!(phase(startup(), |status| status.due = Some(Instant::now())), "running");
    assert_eq!(phase(startup(), |status| _ = status.record(success())), "resting");
    assert_eq!(phase(check(Probe::Liveness, "web"), |status| _ = status.record(success())), "waiting");
    let soon = |status: &mut Status| status.due = Some(Instant::now() + Duration::from_secs(9));
    assert_eq!(phase(check(Probe::Readiness, "web"), soon), "scheduled");
}

#[test]
fn a_new_incarnation_holds_before_any_check_has_noticed_it() {
    let passed = vec![Outcome::failure("refused"), Outcome::Success];
    let state = state(true, [(check(Probe::Readiness, "db"), passed)]);
    assert_eq!(value(&state)["checks"][0]["state"], "healthy");
    // The first question would begin the first one anew; this kubelet has asked before.
    for _ in 0..2 {
        state.pod.kubelet_asks(Scope::Pod, Some(StartupPath::Whole));
        state.pod.kubelet_told(Scope::Pod, StartupPath::Whole);
    }
    let document = value(&state);
    let db = &document["checks"][0];
    assert_eq!(document["incarnation"]["number"], 2);
    assert_eq!(
        (&db["state"], &db["last"], &db["phase"]),
        (&json!("unhealthy"), &json!(null), &json!("waiting"))
    );
    assert_eq!(db["since"], document["incarnation"]["began"]);
    assert_eq!(document["probes"][1]["since"], document["incarnation"]["began"]);
    assert_eq!(db["last_failure"]["text"], "refused");
    assert_eq!(db["runs"]["results"], "fs");
}

#[test]
fn it_is_read_back_as_it_was_written() {
    let state = state(true, [(check(Probe::Readiness, "db"), failures(3))]);
    let written = serde_json::to_string(&Document::of(&state)).unwrap();
    let read: Document = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
}

#[test]
fn two_hundred_checks_with_full_histories_stay_small() {
    let checks = (0..200).map(|number| {
        (check(Probe::Readiness, &format!("check-{number}")), vec![Outcome::Success; MAX_HISTORY_RUNS])
    });
    let size = serde_json::to_string(&Document::of(&state(true, checks))).unwrap().len();
    assert!(size < 450_000, "{size} bytes");
}
