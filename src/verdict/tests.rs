//! What each state of a check means for each question, as contract section 3 says it.

use std::time::Duration;

use tokio::time::Instant;

use super::{Moment, failure, is_exhausted};
use crate::check::{Check, Timing};
use crate::incarnation::Incarnation;
use crate::outcome::Outcome;
use crate::probe::Probe::{self, Liveness, Readiness, Startup};
use crate::status::{Run, Status};

const OWN: u64 = 1;
const NEXT: u64 = 2;

const ON_TIME: Duration = Duration::ZERO;
const LATE: Duration = Duration::from_millis(12_900);

/// What a check of `probe` says when `asked` is asked in `incarnation`: its reason, or `ok`, and whether it is
/// exhausted. Its runs in the first incarnation were `results` (`S` and `F`), and its next one is not in sight,
/// though `late` has passed since two periods and a timeout after the last.
fn answer(asked: Probe, probe: Probe, results: &str, late: Duration, incarnation: u64) -> (String, bool) {
    let zero = Instant::now();
    let timing = Timing::default();
    let check =
        Check { probe, name: "a".into(), target: "scripted".into(), timing, container: None, required: true };
    let mut status = Status::new(&check, Incarnation { number: OWN, began: zero });
    for result in results.chars() {
        let outcome = if result == 'S' { Outcome::Success } else { Outcome::failure("refused") };
        status.record(Run { began: zero, duration: Duration::ZERO, outcome });
    }
    status.due = Some(zero + timing.period);
    let moment = Moment { incarnation, now: zero + timing.period * 2 + timing.timeout + late };
    let reason = failure(asked, &check, &status, moment);
    (reason.unwrap_or_else(|| "ok".to_owned()), is_exhausted(&check, &status, moment))
}

#[test]
fn what_a_check_means_for_its_probe() {
    for (probe, results, late, incarnation, expected, exhausted) in [
        (Liveness, "", ON_TIME, OWN, "ok", false),
        (Liveness, "FF", ON_TIME, OWN, "ok", false),
        (Liveness, "FFF", ON_TIME, OWN, "refused", false),
        (Liveness, "FFFS", ON_TIME, OWN, "ok", false),
        (Liveness, "S", LATE, OWN, "ok", false),
        (Liveness, "FFF", LATE, OWN, "refused", false),
        (Liveness, "FFF", LATE, NEXT, "ok", false),
        (Readiness, "", ON_TIME, OWN, "no result yet", false),
        (Readiness, "F", ON_TIME, OWN, "refused", false),
        (Readiness, "S", ON_TIME, OWN, "ok", false),
        (Readiness, "S", LATE, OWN, "stale for 12s", false),
        (Readiness, "FFF", LATE, OWN, "stale for 12s", false),
        (Readiness, "FFF", LATE, NEXT, "no result yet", false),
        (Readiness, "S", LATE, NEXT, "no result yet", false),
        (Startup, "", ON_TIME, OWN, "no result yet", false),
        (Startup, "FF", ON_TIME, OWN, "refused", false),
        (Startup, "FFF", LATE, OWN, "refused", true),
        (Startup, "FFFS", ON_TIME, OWN, "ok", false),
        (Startup, "FFF", ON_TIME, NEXT, "no result yet", false),
        (Startup, "S", ON_TIME, NEXT, "no result yet", false),
    ] {
        let found = answer(probe, probe, results, late, incarnation);
        let case = format!("{probe} after {results:?}, {late:?} late, in incarnation {incarnation}");
        assert_eq!(found, (expected.to_owned(), exhausted), "{case}");
    }
}

#[test]
fn a_liveness_check_that_tells_of_startup_has_to_pass_once_in_each_incarnation() {
    for (results, incarnation, expected) in [
        ("", OWN, "no result yet"),
        ("F", OWN, "refused"),
        ("SFFF", OWN, "ok"),
        ("S", NEXT, "no result yet"),
        ("F", NEXT, "no result yet"),
    ] {
        let (found, _) = answer(Startup, Liveness, results, LATE, incarnation);
        assert_eq!(found, expected, "after {results:?} in incarnation {incarnation}");
    }
}
