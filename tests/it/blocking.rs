//! What does not answer or takes its time delays its own check, and neither another nor an answer.

use std::time::{Duration, Instant};

use crate::app::{App, response};
use crate::sidecar::{Sidecar, eventually};

/// Many times what an answer takes on a busy machine, and a fraction of what is hung on here.
const PROMPT: Duration = Duration::from_secs(2);

fn runs(sidecar: &Sidecar, check: &str) -> f64 {
    let series = |result| {
        format!("health_proxy_check_runs_total{{check=\"{check}\",probe=\"readiness\",result=\"{result}\"}}")
    };
    ["success", "failure", "timeout"].iter().filter_map(|result| sidecar.metric(&series(result))).sum()
}

#[test]
fn a_regular_expression_that_takes_its_time() {
    let body = "x".repeat(10_000);
    let app = App::answering(move |_, _| response("200 OK", &body));
    let pattern = "(?:.{1,500}){1,4}z";
    let sidecar = Sidecar::start(&[
        ("READINESS_SLOW", &app.url("/")),
        ("READINESS_SLOW_BODY_MATCHES", pattern),
        ("READINESS_FAST", &format!("tcp://{}", app.address)),
        ("READINESS_PERIOD_SECONDS", "0.1"),
        ("READINESS_TIMEOUT_SECONDS", "0.1"),
        ("READINESS_FAILURE_THRESHOLD", "1"),
    ]);
    let slow = || sidecar.get("/readyz/slow").body;
    let reason = format!("timeout: matching /{pattern}/ did not end within 100ms\n");
    eventually("its reason is told", || (slow() == reason).then_some(()));
    let before = (runs(&sidecar, "fast"), runs(&sidecar, "slow"));
    eventually("others run on while it goes on and on", || {
        let asked = Instant::now();
        assert_eq!(sidecar.get("/livez").status, 200);
        assert!(asked.elapsed() < PROMPT, "/livez was late by {:?}", asked.elapsed());
        let after = (runs(&sidecar, "fast"), runs(&sidecar, "slow"));
        (after.0 - before.0 >= 10.0 && after.1 - before.1 >= 3.0).then_some(())
    });
    assert_eq!(slow(), reason);
}
