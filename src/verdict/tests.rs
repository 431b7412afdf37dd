//! The meaning of each state of a check for each question, as contract section 3 says it.

use std::time::Duration;

use tokio::time::Instant;

use super::{Facts, Finding, Standing, Why};
use crate::check::{Check, Timing};
use crate::life::Incarnation;
use crate::outcome::Outcome;
use crate::probe::Probe::{self, Liveness, Readiness, Startup};
use crate::status::{Run, Status};
use crate::witness::{Sight, Witness};

const OWN: u64 = 1;
const NEXT: u64 = 2;

const ON_TIME: Duration = Duration::ZERO;
const LATE: Duration = Duration::from_millis(12_900);

const HOLD: Duration = Duration::from_secs(30);

/// A state, and when it is asked about.
struct Case {
    probe: Probe,
    /// Of the runs in the first incarnation, all of them at zero: `S` and `F`.
    results: &'static str,
    container: Standing,
    noted: Option<u64>,
    sight: Option<Sight>,
    /// Since zero.
    now: Duration,
}

fn case(probe: Probe, results: &'static str) -> Case {
    let container = Standing { incarnation: OWN, has_started: true, is_seen: true, is_wired: false };
    let timing = Timing::default();
    Case { probe, results, container, noted: None, sight: None, now: timing.period * 2 + timing.timeout }
}

fn sockets(inode: u64) -> Witness {
    Witness::Sockets([inode].into())
}

impl Case {
    fn read<T>(&self, read: impl FnOnce(Facts<'_>) -> T) -> T {
        let zero = Instant::now();
        let (timing, hold) = (Timing::default(), HOLD);
        let (name, target) = ("a".into(), "scripted".into());
        let check = Check {
            probe: self.probe,
            name,
            target,
            is_asked: true,
            timing,
            container: None,
            required: true,
            any_of: None,
            hold,
            secrets: std::sync::Arc::default(),
        };
        let incarnation = Incarnation { id: OWN, number: 1, began: zero, is_joined: false };
        let mut status = Status::new(&check, incarnation);
        for result in self.results.chars() {
            let outcome = if result == 'S' { Outcome::Success } else { Outcome::failure("refused") };
            status.record(Run { began: zero, duration: Duration::ZERO, outcome, said: None });
        }
        status.due = Some(zero + timing.period);
        status.noted = self.noted.map(sockets);
        read(Facts {
            check: &check,
            status: &status,
            container: self.container,
            sight: self.sight.as_ref(),
            now: zero + self.now,
        })
    }

    /// Returns what the check says when `asked` is asked: its reason, or `ok`.
    fn answer(&self, asked: Probe) -> String {
        self.read(|facts| facts.failure(asked)).map_or_else(|| "ok".to_owned(), |why| why.to_string())
    }
}

#[test]
fn what_a_check_means_for_its_probe() {
    let stale = "no result for 23 s: the sidecar does not get to run its checks";
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
        (Readiness, "S", LATE, OWN, stale, false),
        (Readiness, "FFF", LATE, OWN, stale, false),
        (Readiness, "FFF", LATE, NEXT, "no result yet", false),
        (Readiness, "S", LATE, NEXT, "no result yet", false),
        (Startup, "", ON_TIME, OWN, "no result yet", false),
        (Startup, "FF", ON_TIME, OWN, "refused", false),
        (Startup, "FFF", LATE, OWN, "refused", true),
        (Startup, "FFFS", ON_TIME, OWN, "ok", false),
        (Startup, "FFF", ON_TIME, NEXT, "no result yet", false),
        (Startup, "S", ON_TIME, NEXT, "no result yet", false),
    ] {
        let case = case(probe, results);
        let case =
            Case { now: case.now + late, container: Standing { incarnation, ..case.container }, ..case };
        let found = (case.answer(probe), case.read(|facts| facts.is_exhausted()));
        let what = format!("{probe} after {results:?}, {late:?} late, in incarnation {incarnation}");
        assert_eq!(found, (expected.to_owned(), exhausted), "{what}");
    }
}

#[test]
fn a_liveness_failure_after_a_success_stands_although_its_runs_pass_again() {
    let held = |seconds| format!("refused; it passes again, and the failure stands for {seconds} s more");
    for (results, seconds, expected) in [
        ("SFFF", 29, "refused".to_owned()),
        ("SFFFS", 0, held(30)),
        ("SFFFS", 29, held(1)),
        ("SFFFS", 30, "ok".to_owned()),
        ("FFFS", 0, "ok".to_owned()),
        ("SFFS", 0, "ok".to_owned()),
        ("SFFFSFF", 29, held(1)),
    ] {
        let case = Case { now: Duration::from_secs(seconds), ..case(Liveness, results) };
        assert_eq!(case.answer(Liveness), expected, "{results} after {seconds} s");
        let next = Standing { incarnation: NEXT, ..case.container };
        assert_eq!(Case { container: next, ..case }.answer(Liveness), "ok", "{results}: a new incarnation");
    }
}

#[test]
fn checks_wait_for_startup() {
    let waiting = |probe| {
        let case = case(probe, "SFFF");
        Case { container: Standing { has_started: false, ..case.container }, ..case }
    };
    assert_eq!(waiting(Liveness).read(|facts| facts.finding(Liveness)), Finding::Waits);
    assert_eq!(
        waiting(Readiness).read(|facts| facts.finding(Readiness)),
        Finding::Failed(Why::WaitsForStartup)
    );
}

#[test]
fn a_start_is_the_startup_probes_to_judge() {
    let case = case(Liveness, "FFF");
    let awaited = Standing { is_wired: true, is_seen: false, ..case.container };
    let seen = Standing { is_wired: true, ..case.container };
    let mut case = Case { container: awaited, ..case };
    assert_eq!(case.answer(Liveness), "ok");
    // A kubelet that was restarted meanwhile never asks again: that it would be told is enough.
    case.container = seen;
    assert_eq!(case.answer(Liveness), "refused");
}

#[test]
fn nobody_is_vouched_for_who_is_not_there() {
    let there = |inode| Some(Sight::There(sockets(inode)));
    for (noted, sight, expected) in [
        (None, there(1), "ok"),
        (None, Some(Sight::Missing), "ok"),
        (Some(1), None, "ok"),
        (Some(1), there(1), "ok"),
        (Some(1), Some(Sight::Unwitnessed), "ok"),
        (Some(1), Some(Sight::Missing), "the socket or process that passed last is gone"),
        (Some(1), there(2), "a different socket or process is there than passed last, and is being checked"),
    ] {
        let case = Case { noted, sight: sight.clone(), ..case(Readiness, "S") };
        assert_eq!(case.answer(Readiness), expected, "{noted:?} {sight:?}");
        assert_eq!(Case { probe: Liveness, ..case }.answer(Liveness), "ok", "liveness is not touched");
    }
}

#[test]
fn without_startup_checks_witnesses_tell_of_startup() {
    let unseen = |sight| {
        let case = case(Liveness, "");
        Case { sight, container: Standing { is_seen: false, ..case.container }, ..case }
    };
    assert_eq!(case(Liveness, "").answer(Startup), "ok");
    assert_eq!(unseen(Some(Sight::There(sockets(1)))).answer(Startup), "ok");
    let missing = "nothing listens on its port yet, or its process does not run";
    assert_eq!(unseen(Some(Sight::Missing)).answer(Startup), missing);
}
