//! The next worker knows everything that one kept.

use proptest::prelude::*;

use super::*;
use crate::check::Timing;
use crate::life::{Incarnation, Remembered, StartupPath, Told};
use crate::outcome::Outcome;
use crate::probe::Probe;
use crate::snapshot;
use crate::status::{Run, Status};
use crate::witness::{Process, Witness};

fn check() -> Check {
    Check {
        probe: Probe::Liveness,
        name: "web".into(),
        target: "scripted".into(),
        container: None,
        is_asked: true,
        timing: Timing::default(),
        required: true,
        any_of: None,
        hold: Duration::from_secs(30),
        secrets: std::sync::Arc::default(),
    }
}

/// Keeps `part`, and returns what the next worker recalls.
fn recalled<T: Remember>(part: &T) -> Option<T> {
    let file = snapshot::memory().unwrap();
    let clock = Clock::now().unwrap();
    let memory = || Memory::open(file.try_clone().unwrap(), clock, [&check()]);
    memory().place(3).keep(part);
    memory().place(3).recall()
}

#[test]
fn the_state_of_a_check_comes_back_with_its_reason() {
    let began = Instant::now();
    let incarnation = Incarnation { id: 7, number: 5, began, is_joined: false };
    for results in ["", "S", "F", "FFF", "SFFF", "SFFFS"] {
        let mut status = Status::new(&check(), incarnation);
        for (number, result) in results.chars().enumerate() {
            let outcome = if result == 'S' { Outcome::Success } else { Outcome::failure("refused") };
            let began = began + Duration::from_secs(number as u64);
            status.record(Run { began, duration: Duration::from_millis(3), outcome, said: None });
        }
        status.due = Some(began + Duration::from_secs(10));
        status.noted = Some(Witness::Sockets([4711, 4712].into()));
        let remembered = RememberedCheck::of(&status);
        let mut next = Status::new(&check(), Incarnation { id: 9, ..incarnation });
        recalled(&remembered).expect("it was kept").restore(&check(), &mut next, began);
        assert_eq!(RememberedCheck::of(&next), remembered, "{results}");
        assert_eq!(next.failure_text(), status.failure_text(), "{results}");
        assert_eq!(next.incarnation, 7);
    }
}

#[test]
fn a_long_reason_is_cut_between_two_characters() {
    let incarnation = Incarnation { id: 1, number: 1, began: Instant::now(), is_joined: false };
    let mut status = Status::new(&check(), incarnation);
    let text = "ä".repeat(5000);
    let run = Run {
        began: incarnation.began,
        duration: Duration::ZERO,
        outcome: Outcome::failure(text.as_str()),
        said: None,
    };
    status.record(run);
    let mut next = Status::new(&check(), incarnation);
    let recalled = recalled(&RememberedCheck::of(&status)).expect("it was kept");
    recalled.restore(&check(), &mut next, incarnation.began);
    let kept = next.failure_text().unwrap();
    assert!(
        kept.len() > 300 && text.starts_with(kept.trim_end_matches('…')) && kept.ends_with('…'),
        "{kept}"
    );
}

#[test]
fn the_life_of_a_container_comes_back_with_what_the_kubelet_was_told() {
    let began = Instant::now();
    let sockets = Witness::Sockets((0..8).collect());
    let told = |path, witnesses| Told { path, witnesses };
    let remembered = Remembered {
        incarnation: Incarnation { id: 4, number: 3, began, is_joined: true },
        was_asked: true,
        is_wired: true,
        seen: Some(began + Duration::from_secs(2)),
        has_passed: true,
        told: vec![
            told(StartupPath::Whole, Some(vec![sockets, Witness::Process(Process::new(7, 99))])),
            told(StartupPath::Check(5), None),
        ],
        usual_gap: Duration::from_secs(5),
        early_gap: Duration::from_millis(10_001),
    };
    assert_eq!(recalled(&remembered).as_ref(), Some(&remembered));

    let many = |count: u64| (0..count).map(|inode| Witness::Sockets((inode..inode + 20).collect())).collect();
    let paths = [StartupPath::Whole, StartupPath::Check(1), StartupPath::Check(2), StartupPath::Check(3)];
    let crowded = Remembered { told: paths.map(|path| told(path, Some(many(30)))).into(), ..remembered };
    let recalled = recalled(&crowded).expect("there is room for some of each");
    assert_eq!(recalled.told.len(), 4);
    for told in recalled.told {
        assert_eq!(told.witnesses.expect("some")[0], Witness::Sockets((0..8).collect()));
    }
}

#[test]
fn what_was_kept_for_other_checks_is_not_recalled() {
    let file = snapshot::memory().unwrap();
    let clock = Clock::now().unwrap();
    let memory = |check: &Check| Memory::open(file.try_clone().unwrap(), clock, [check]);
    memory(&check()).place(0).keep(&Some(Duration::from_secs(5)));
    assert_eq!(memory(&check()).place(0).recall(), Some(Some(Duration::from_secs(5))));
    let other = Check { target: "another".into(), ..check() };
    assert_eq!(memory(&other).place::<Option<Duration>>(0).recall(), None);
}

#[test]
fn without_a_supervisor_nothing_is_kept() {
    let mut place = Memory::default().place(0);
    place.keep(&Some(Duration::from_secs(5)));
    assert_eq!(place.recall(), None);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let clock = Clock::now().unwrap();
        let _ = RememberedCheck::read(&mut Reader::new(&bytes, clock));
        let _ = Remembered::read(&mut Reader::new(&bytes, clock));
        let _ = Option::<Duration>::read(&mut Reader::new(&bytes, clock));
    }
}
