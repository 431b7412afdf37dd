//! Whether a worker is well, may only be late, or hangs: a pure judgement of what the supervisor sees at each
//! of its ticks.
//!
//! A worker that is suspended or starved together with its supervisor is never taken for one that hangs: time
//! in which the supervisor did not get its own ticks proves nothing, and a worker that waits for a processor
//! is left alone.

use std::fmt;
use std::time::{Duration, Instant};

/// The time between two signs of life of the worker, and between two looks of the supervisor for one.
pub const TICK: Duration = Duration::from_secs(1);

/// A tick that comes so much later says that the supervisor did not get to run either.
const MAX_DELAY: Duration = Duration::from_millis(500);

/// The longest silence of a worker before it is judged by what it does.
const MAX_SILENCE: Duration = Duration::from_secs(5);

/// A silent worker that used so much of a processor turns in a circle. A healthy loop never needs as much for one
/// turn, not for a thousand checks that are due at once; and one that has 1 % of a processor has 100 s for it.
const MAX_TURN: Duration = Duration::from_secs(1);

/// At so many ticks in a row a silent worker has to have been still: a page that is read from a slow disk
/// looks the same for a moment.
const MIN_STILL_TICKS: u32 = 3;

/// The thread that turns the worker's loop, as the kernel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The letter of `/proc/PID/stat`: `R` where it runs or waits for a processor.
    pub state: char,
    /// The CPU time that it has used since it began.
    pub used: Duration,
}

/// The judgement on a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It gave a sign of life.
    Well,
    /// It did not, for which there may be a reason that is not its own.
    Wait,
    /// It will not come back.
    Hung(Hang),
}

/// The occupation of a worker that hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hang {
    /// It used so much of a processor.
    Busy(Duration),
    /// It did nothing at all, in this state.
    Still(char),
}

impl fmt::Display for Hang {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "hung: its loop did not turn for more than {} s, ", MAX_SILENCE.as_secs())?;
        match self {
            Self::Busy(used) => write!(f, "in which it used {:.1} s of a processor", used.as_secs_f64()),
            Self::Still('T') => f.write_str("it was stopped by a signal (state T)"),
            Self::Still('t') => f.write_str("it was stopped by a debugger (state t)"),
            Self::Still('D') => f.write_str("it waited in the kernel, as for a dead mount (state D)"),
            Self::Still(state) => write!(f, "it waited for something that did not come (state {state})"),
        }
    }
}

/// A watch over one worker from its start on.
#[derive(Debug)]
pub struct Watchdog {
    ticked: Instant,
    silence: Option<Silence>,
}

/// The observations since the last sign of life.
#[derive(Debug, Default)]
struct Silence {
    /// Of the supervisor's own time.
    lasted: Duration,
    first: Option<Look>,
    last: Option<Look>,
    still_ticks: u32,
}

impl Watchdog {
    /// Begins with a worker that was started at `now`.
    pub const fn new(now: Instant) -> Self {
        Self { ticked: now, silence: None }
    }

    /// Judges at a tick. `look` is asked only where there was no sign of life; `None` where it cannot be had.
    pub fn tick(&mut self, now: Instant, has_beaten: bool, look: impl FnOnce() -> Option<Look>) -> Judgement {
        let passed = now.saturating_duration_since(self.ticked);
        self.ticked = now;
        if has_beaten {
            self.silence = None;
            return Judgement::Well;
        }
        let silence = self.silence.get_or_insert_default();
        if passed <= TICK + MAX_DELAY {
            silence.lasted += passed;
        }
        silence.note(look());
        silence.hang().map_or(Judgement::Wait, Judgement::Hung)
    }
}

impl Silence {
    fn note(&mut self, look: Option<Look>) {
        let is_still =
            look.is_some_and(|look| look.state != 'R' && self.last.is_none_or(|last| last == look));
        self.still_ticks = if is_still { self.still_ticks + 1 } else { 0 };
        self.first = self.first.or(look);
        self.last = look;
    }

    fn hang(&self) -> Option<Hang> {
        let (first, last) = self.first.zip(self.last).filter(|_| self.lasted >= MAX_SILENCE)?;
        let used = last.used.saturating_sub(first.used);
        if used >= MAX_TURN {
            Some(Hang::Busy(used))
        } else {
            (self.still_ticks >= MIN_STILL_TICKS).then_some(Hang::Still(last.state))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks of one kind, one after another.
    struct Phase {
        ticks: u32,
        /// From one to the next, in milliseconds.
        every: u64,
        beats: bool,
        /// The worker's states, over and over; empty where it cannot be looked at.
        states: &'static str,
        /// The CPU time from one tick to the next, in milliseconds.
        uses: u64,
    }

    const fn phase(ticks: u32, every: u64, beats: bool, states: &'static str, uses: u64) -> Phase {
        Phase { ticks, every, beats, states, uses }
    }

    const fn well(ticks: u32) -> Phase {
        phase(ticks, 1000, true, "S", 1)
    }

    /// Returns how a worker is judged at last, or the number of the tick at which it is found to hang.
    fn judged(phases: &[Phase]) -> (u32, Judgement) {
        let (mut now, mut used) = (Instant::now(), Duration::ZERO);
        let mut watchdog = Watchdog::new(now);
        let (mut number, mut judgement) = (0, Judgement::Wait);
        for phase in phases {
            let mut states = phase.states.chars().cycle();
            for _ in 0..phase.ticks {
                now += Duration::from_millis(phase.every);
                used += Duration::from_millis(phase.uses);
                let look = states.next().map(|state| Look { state, used });
                judgement = watchdog.tick(now, phase.beats, || look);
                number += 1;
                if matches!(judgement, Judgement::Hung(_)) {
                    return (number, judgement);
                }
            }
        }
        (number, judgement)
    }

    #[test]
    fn what_is_seen_and_what_to_think_of_it() {
        use Judgement::{Hung, Wait, Well};
        let busy = |milliseconds| Hung(Hang::Busy(Duration::from_millis(milliseconds)));
        let still = |state| Hung(Hang::Still(state));
        let cases: &[(&str, &[Phase], u32, Judgement)] = &[
            ("idle", &[well(100)], 100, Well),
            ("starting, slowly", &[phase(4, 1000, false, "RD", 90), well(1)], 5, Well),
            // The first thing it must not be taken for.
            ("1 % of a processor", &[well(3), phase(45, 1000, false, "R", 10)], 48, Wait),
            ("1 % of it, and it waits for pages", &[phase(45, 1000, false, "RDDRS", 10)], 45, Wait),
            ("no processor at all", &[well(3), phase(600, 1000, false, "R", 0)], 603, Wait),
            ("thrashing", &[well(3), phase(20, 1000, false, "D", 20)], 23, Wait),
            ("both suspended", &[well(3), phase(1, 10_000, false, "S", 0), well(1)], 5, Well),
            ("both suspended again and again", &[phase(50, 3000, false, "T", 0)], 50, Wait),
            ("both throttled", &[well(3), phase(50, 1600, false, "S", 9)], 53, Wait),
            ("both throttled, in a circle", &[well(3), phase(50, 1600, false, "R", 900)], 53, Wait),
            (
                "suspended, then blocked",
                &[phase(1, 60_000, false, "S", 0), phase(9, 1000, false, "S", 0)],
                6,
                still('S'),
            ),
            ("the worker alone stopped", &[well(3), phase(9, 1000, false, "T", 0)], 8, still('T')),
            ("the worker alone stopped and continued", &[phase(4, 1000, false, "T", 0), well(1)], 5, Well),
            ("a busy loop", &[well(3), phase(9, 1000, false, "R", 1000)], 8, busy(4000)),
            ("a starved busy loop", &[well(3), phase(90, 1000, false, "R", 50)], 24, busy(1000)),
            ("a busy loop of system calls", &[phase(9, 1000, false, "RSD", 200)], 6, busy(1000)),
            ("a blocked read", &[well(3), phase(9, 1000, false, "S", 0)], 8, still('S')),
            ("a dead mount", &[well(3), phase(9, 1000, false, "D", 0)], 8, still('D')),
            (
                "a dead mount, late",
                &[phase(6, 1000, false, "R", 50), phase(9, 1000, false, "D", 0)],
                10,
                still('D'),
            ),
            (
                "late by four seconds",
                &[phase(4, 1000, false, "S", 0), well(1), phase(4, 1000, false, "S", 0)],
                9,
                Wait,
            ),
            ("it cannot be looked at", &[well(3), phase(90, 1000, false, "", 0)], 93, Wait),
        ];
        for (case, phases, tick, judgement) in cases {
            assert_eq!(judged(phases), (*tick, *judgement), "{case}");
        }
    }

    #[test]
    fn a_worker_that_gives_signs_is_not_looked_at() {
        let began = Instant::now();
        let mut watchdog = Watchdog::new(began);
        let judgement = watchdog.tick(began + TICK, true, || panic!("it was looked at"));
        assert_eq!(judgement, Judgement::Well);
    }

    #[test]
    fn a_hang_says_what_to_look_at() {
        let hangs = [Hang::Busy(Duration::from_millis(4960)), Hang::Still('D'), Hang::Still('S')];
        assert_eq!(
            hangs.map(|hang| hang.to_string()),
            [
                "hung: its loop did not turn for more than 5 s, in which it used 5.0 s of a processor",
                "hung: its loop did not turn for more than 5 s, it waited in the kernel, as for a dead mount (state D)",
                "hung: its loop did not turn for more than 5 s, it waited for something that did not come (state S)",
            ]
        );
    }
}
