use serde_json::json;

use super::*;

fn check(name: &str, change: impl FnOnce(&mut CheckPart)) -> CheckPart {
    let mut check = serde_json::from_value(json!({
        "probe": "readiness", "name": name, "target": "tcp://localhost:5432", "required": true,
        "state": "healthy", "since": 880.0, "phase": "scheduled", "stale_seconds": null, "reason": null,
        "streak": {"passing": true, "count": 12, "threshold": 1},
        "last": {"began": 998.0, "seconds": 0.0123, "result": "success", "text": null},
        "last_failure": null, "next_run": 1007.5,
        "runs": {"began": [998.0], "seconds": [0.0123], "results": "s"},
        "timing": {
            "initial_delay_seconds": 0.0, "period_seconds": 10.0, "unhealthy_period_seconds": 10.0,
            "timeout_seconds": 1.0, "success_threshold": 1, "failure_threshold": 3,
        },
    }))
    .unwrap();
    change(&mut check);
    check
}

fn failing(check: &mut CheckPart, reason: &str) {
    "unhealthy".clone_into(&mut check.state);
    check.reason = Some(reason.to_owned());
    check.streak = StreakPart { passing: false, count: 3, threshold: 3 };
    check.runs.results = "ssftf".repeat(6);
}

fn document(checks: Vec<CheckPart>, reason: &str) -> Document {
    let document = json!({
        "version": "0.2.0", "host": "web-1", "now": 1000.0, "healthy": true, "details": true,
        "incarnation": {"number": 2, "began": 400.0, "startup_seconds": 3.41},
        "probes": [
            {"probe": "liveness", "passes": true, "since": 400.0, "reasons": []},
            {"probe": "readiness", "passes": false, "since": 808.0,
             "reasons": [{"check": "db", "reason": reason}]},
            {"probe": "startup", "passes": true, "since": null, "reasons": []},
        ],
        "checks": [],
    });
    Document { checks, ..serde_json::from_value(document).unwrap() }
}

#[test]
fn the_reasons_come_first() {
    let checks = vec![
        check("cache", |cache| {
            cache.required = false;
            failing(cache, "command exited with status 1");
        }),
        check("db", |db| failing(db, &"long reason ".repeat(10))),
        check("warm", |warm| {
            "waiting".clone_into(&mut warm.phase);
            (warm.next_run, warm.last) = (None, None);
            warm.streak.count = 0;
        }),
        check("web", |_| {}),
    ];
    let expected = "\
LIVE for 10m
NOT READY for 3m 12s
  db: connection refused
STARTED

web-1, incarnation 2, began 10m ago, startup took 3.4s; health-proxy 0.2.0

PROBE      CHECK  STATE                     FOR  STREAK          LAST RUNS             TOOK  NEXT     TARGET                REASON
readiness  db     unhealthy                 2m   3/3 failures    ..FTF..FTF..FTF..FTF  12ms  7.5s     tcp://localhost:5432  long reason long reason long reason long reason long reason …
readiness  cache  unhealthy (not required)  2m   3/3 failures    ..FTF..FTF..FTF..FTF  12ms  7.5s     tcp://localhost:5432  command exited with status 1
readiness  warm   healthy                   2m   -               .                           waiting  tcp://localhost:5432
readiness  web    healthy                   2m   12/1 successes  .                     12ms  7.5s     tcp://localhost:5432

LAST RUNS: . success, F failure, T timeout, the newest last. STREAK: equal results in a row / how many decide.
";
    assert_eq!(text(&document(checks, "connection refused"), false), expected);
}

#[test]
fn colour_is_an_addition() {
    let document = document(vec![check("db", |db| failing(db, "refused")), check("web", |_| {})], "refused");
    let coloured = text(&document, true);
    assert!(coloured.starts_with("\x1b[32mLIVE\x1b[0m for 10m\n\x1b[1;31mNOT READY\x1b[0m for 3m 12s\n"));
    let plain = coloured.replace(RED, "").replace(GREEN, "").replace(PLAIN, "");
    assert_eq!(plain, text(&document, false));
}

/// Whoever answers on that port: nothing of it drives the terminal.
#[test]
fn control_characters_do_not_reach_the_terminal() {
    let hostile = "\u{1b}]0;title\u{7}\u{9b}2J\r\n\u{202e}\u{7f}";
    let mut document = document(
        vec![check(hostile, |check| {
            failing(check, hostile);
            for field in [&mut check.probe, &mut check.state, &mut check.target, &mut check.runs.results] {
                hostile.clone_into(field);
            }
            (check.phase, check.required) = (hostile.to_owned(), false);
        })],
        hostile,
    );
    for field in [&mut document.host, &mut document.version, &mut document.probes[0].probe] {
        hostile.clone_into(field);
    }
    hostile.clone_into(&mut document.probes[1].reasons[0].check);
    let text = text(&document, false);
    let is_hostile = |c: &char| c.is_control() && *c != '\n' || *c == '\u{202e}';
    assert_eq!(text.chars().find(is_hostile), None, "{text:?}");
    assert_eq!(text.lines().count(), 11, "{text}");
}
