//! Every case of what was noted, what is seen, who asked, and what has ever been asked; and a plain model.

use proptest::prelude::*;

use super::*;
use crate::witness::Process;

const WHOLE: StartupPath = StartupPath::Whole;

fn there(inode: u64) -> Sight {
    Sight::There(Witness::Sockets([inode].into()))
}

/// A life, and a clock that the test moves.
struct Case {
    life: Life,
    now: Instant,
}

fn first() -> Case {
    let now = Instant::now();
    Case { life: Life::first(now, false), now }
}

impl Case {
    fn after(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self
    }

    fn take(&mut self, sign: Sign<'_>) -> Step {
        self.life.take(sign, self.now)
    }

    fn asked(&mut self) -> Step {
        self.take(Sign::Asked { path: None, seen: &[] })
    }

    fn asked_seeing(&mut self, seen: &[Sight]) -> Step {
        self.take(Sign::Asked { path: None, seen })
    }

    fn asked_startup(&mut self, seen: &[Sight]) -> Step {
        self.take(Sign::Asked { path: Some(WHOLE), seen })
    }

    fn told(&mut self, seen: &[Sight]) {
        assert_eq!(self.take(Sign::Told { path: WHOLE, seen }), Step::Same);
    }

    /// Returns a container that has started, and whose kubelet was told so.
    fn started(seen: &[Sight]) -> Self {
        let mut it = first();
        it.asked_startup(seen);
        it.take(Sign::Passed);
        it.told(seen);
        it
    }

    fn number(&self) -> u64 {
        self.life.incarnation().number
    }
}

#[test]
fn the_first_incarnation_begins_anew_with_the_first_question_unless_the_container_was_well_before() {
    let mut it = first();
    it.after(60);
    assert_eq!(it.asked(), Step::Begins(Cause::FirstQuestion));
    let incarnation = it.life.incarnation();
    assert_eq!((incarnation.id, incarnation.number, incarnation.began), (2, 1, it.now));
    assert_eq!(it.after(1).asked(), Step::Same);

    let mut well = first();
    well.after(5).take(Sign::Passed);
    assert_eq!(well.after(5).asked_startup(&[there(1)]), Step::Same);

    let now = Instant::now();
    let mut joined = Case { life: Life::first(now, true), now };
    assert_eq!(joined.asked(), Step::Same);
}

#[test]
fn a_repeated_question_for_the_startup_is_judged_by_the_witnesses_of_the_200_before() {
    use Cause::{AskedAgain, AskedAgainUnwitnessed};
    let process = |start| Sight::There(Witness::Process(Process::new(7, start)));
    let (none, missing) = (Sight::Unwitnessed, Sight::Missing);
    let same = Step::Refused(Refusal::SameWitnesses);
    let cases = [
        // (what was seen with the 200, what is seen now, what follows)
        (vec![there(1)], vec![there(1)], same),
        (vec![there(1)], vec![there(2)], Step::Begins(AskedAgain(0))),
        (vec![there(1)], vec![missing.clone()], Step::Begins(AskedAgain(0))),
        (vec![there(1), process(5)], vec![there(1), process(5)], same),
        (vec![there(1), process(5)], vec![there(1), process(6)], Step::Begins(AskedAgain(1))),
        // Not every check that tells of the startup has a witness.
        (vec![there(1), none.clone()], vec![there(1), none.clone()], Step::Begins(AskedAgainUnwitnessed)),
        (vec![there(1), missing.clone()], vec![there(1), missing], Step::Begins(AskedAgainUnwitnessed)),
        (vec![none.clone()], vec![none.clone()], Step::Begins(AskedAgainUnwitnessed)),
        (vec![], vec![], Step::Begins(AskedAgainUnwitnessed)),
        // What can no longer be read contradicts nobody.
        (vec![there(1)], vec![none], Step::Begins(AskedAgainUnwitnessed)),
    ];
    for (then, now, expected) in cases {
        let mut it = Case::started(&then);
        assert_eq!(it.after(100).asked_startup(&now), expected, "{then:?}, {now:?}");
        let is_new = matches!(expected, Step::Begins(_));
        assert_eq!(it.number(), if is_new { 2 } else { 1 });
    }
}

#[test]
fn a_question_that_follows_no_200_of_its_path_begins_nothing() {
    let mut it = first();
    it.asked_startup(&[Sight::Missing]);
    for _ in 0..300 {
        assert_eq!(it.after(1).asked_startup(&[Sight::Missing]), Step::Same);
    }
    it.told(&[there(1)]);
    assert_eq!(it.take(Sign::Asked { path: Some(StartupPath::Check(3)), seen: &[there(2)] }), Step::Same);
}

#[test]
fn questions_that_nothing_contradicts_are_believed_at_a_bounded_pace() {
    let mut it = Case::started(&[Sight::Unwitnessed]);
    let mut begun = 0;
    for _ in 0..100 {
        match it.asked_startup(&[Sight::Unwitnessed]) {
            Step::Begins(_) => begun += 1,
            step => assert_eq!(step, Step::Refused(Refusal::TooMany)),
        }
        it.take(Sign::Passed);
        it.told(&[Sight::Unwitnessed]);
    }
    assert_eq!(begun, 10);
    assert!(matches!(it.after(1).asked_startup(&[Sight::Unwitnessed]), Step::Begins(_)));
}

#[test]
fn a_witness_alone_tells_only_where_the_kubelet_never_asks_for_the_startup() {
    let mut unwired = first();
    unwired.asked();
    unwired.take(Sign::Passed);
    assert_eq!(unwired.take(Sign::WitnessChanged), Step::Begins(Cause::WitnessChanged));

    let mut wired = Case::started(&[there(1)]);
    assert_eq!(wired.take(Sign::WitnessChanged), Step::Same);
}

#[test]
fn where_nobody_asks_for_the_startup_the_end_of_a_pause_is_the_start_of_a_container() {
    let mut it = first();
    it.asked();
    it.take(Sign::Passed);
    for _ in 0..5 {
        assert_eq!(it.after(5).asked(), Step::Same);
    }
    it.take(Sign::WitnessChanged);
    assert!(!it.life.is_pause(it.now + Duration::from_secs(9)), "it may be late");
    assert!(it.life.is_pause(it.now + Duration::from_secs(10)));
    let mut present = Case { life: it.life.clone(), now: it.now };
    assert_eq!(present.after(10).asked_seeing(&[there(2)]), Step::Same, "it listens already");
    let pause = Duration::from_secs(10);
    assert_eq!(it.after(10).asked_seeing(&[Sight::Missing]), Step::Begins(Cause::AskedAfterPause(pause)));
    assert_eq!(it.after(5).asked_seeing(&[Sight::Missing]), Step::Same, "it is asked as before");
}

#[test]
fn the_end_of_a_back_off_is_seen_where_the_container_was_never_well_and_by_the_next_worker() {
    let missing = &[Sight::Missing];
    let pause = |seconds| Step::Begins(Cause::AskedAfterPause(Duration::from_secs(seconds)));
    let mut it = first();
    it.asked();
    assert_eq!(it.after(5).asked_seeing(missing), Step::Same);
    assert_eq!(it.after(20).asked_seeing(missing), pause(20));
    assert_eq!(it.after(5).asked_seeing(missing), Step::Same);
    let news = it.life.take_news().expect("a new incarnation");
    it.life = Life::resume(news, it.now);
    assert_eq!(it.after(40).asked_seeing(missing), pause(40), "the worker died in the back-off");
}

#[test]
fn after_a_restart_of_the_sidecar_a_first_question_for_the_startup_is_no_first_one() {
    for (seen, expected) in [
        (Sight::Unwitnessed, Step::Begins(Cause::AskedAgainUnwitnessed)),
        // A witness would have shown that the container is a different one.
        (there(1), Step::Same),
    ] {
        let mut it = first();
        it.take(Sign::Passed);
        assert_eq!(it.asked(), Step::Same);
        assert_eq!(it.after(5).asked_startup(&[seen]), expected);
    }
}

#[test]
fn the_next_worker_goes_on_from_what_was_remembered() {
    let mut it = Case::started(&[there(1)]);
    let news = it.life.take_news().expect("it was asked, and told");
    it.life = Life::resume(news, it.now);
    assert_eq!(it.after(1).asked_startup(&[there(1)]), Step::Refused(Refusal::SameWitnesses));
    assert_eq!(it.asked_startup(&[there(2)]), Step::Begins(Cause::AskedAgain(0)));
}

#[test]
fn the_next_worker_is_told_only_what_is_new() {
    let mut it = Case::started(&[there(1)]);
    it.after(1).asked();
    it.take(Sign::Passed);
    it.after(1).asked();
    assert!(it.life.take_news().is_some());
    it.take(Sign::Passed);
    it.after(1).asked();
    it.asked_startup(&[there(1)]);
    assert_eq!(it.life.take_news(), None);
    it.asked_startup(&[there(2)]);
    assert!(it.life.take_news().is_some());
}

/// The events in a pod with one witness.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The container, or what runs in it, opens its port anew.
    Listen,
    Close,
    /// The kubelet restarts the container: its port is closed.
    Restart,
    /// The kubelet, or somebody who says so, asks for the startup.
    AskStartup,
    /// The kubelet asks any other path.
    Ask,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    use Event::{Ask, AskStartup, Close, Listen, Restart};
    prop::collection::vec(prop::sample::select(vec![Listen, Close, Restart, AskStartup, Ask]), 0..60)
}

proptest! {
    /// A container whose startup is asked for: an incarnation begins with a question after a 200, exactly if the
    /// socket is not the one of that 200; nothing else begins one.
    #[test]
    fn a_witnessed_and_wired_container_agrees_with_the_plain_model(events in events()) {
        let mut it = first();
        it.asked_startup(&[Sight::Missing]);
        let (mut socket, mut next) = (None, 0);
        let (mut of_200, mut expected): (Option<u64>, u64) = (None, 1);
        for event in events {
            let seen = |socket: Option<u64>| [socket.map_or(Sight::Missing, there)];
            match event {
                Event::Listen => {
                    next += 1;
                    socket = Some(next);
                    it.take(Sign::Passed);
                }
                Event::Close | Event::Restart => {
                    socket = None;
                    it.take(Sign::WitnessChanged);
                }
                Event::Ask => drop(it.after(2).asked()),
                Event::AskStartup => {
                    it.after(1).asked_startup(&seen(socket));
                    if of_200.is_some() && of_200 != socket {
                        (of_200, expected) = (None, expected + 1);
                    }
                    if socket.is_some() {
                        of_200 = socket;
                        it.told(&seen(socket));
                    }
                }
            }
            prop_assert_eq!(it.number(), expected, "after {:?}", event);
        }
    }

    /// Nobody's question ever moves the beginning of the present incarnation without beginning one.
    #[test]
    fn an_incarnation_keeps_its_beginning(events in events()) {
        let mut it = first();
        for event in events {
            let before = it.life.incarnation();
            let step = match event {
                Event::Listen => it.take(Sign::Passed),
                Event::Close | Event::Restart => it.take(Sign::WitnessChanged),
                Event::Ask => it.after(3).asked_seeing(&[Sight::Missing]),
                Event::AskStartup => it.after(1).asked_startup(&[Sight::Unwitnessed]),
            };
            let after = it.life.incarnation();
            match step {
                Step::Begins(_) => prop_assert!(after.id == before.id + 1 && after.began == it.now),
                Step::Same | Step::Refused(_) => prop_assert_eq!(after, before),
            }
        }
    }
}
