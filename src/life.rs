//! The lives of one main container: what begins a new incarnation, and what does not.
//!
//! Pure: signs go in, a step comes out, and the clock is given. Nothing else begins an incarnation.

mod pace;

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::witness::{Sight, Witness};
pub use pace::Pace;

/// One life of a main container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incarnation {
    /// Different for every beginning, also where the first one begins anew.
    pub id: u64,
    /// Counts from 1.
    pub number: u64,
    /// When it began, as far as we know.
    pub began: Instant,
    /// Whether the container was there before the sidecar, so that its initial delays are over.
    pub is_joined: bool,
}

/// One of the paths that tell whether a container has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartupPath {
    /// `/startupz`
    Whole,
    /// `/startupz/NAME`, by the place of the check among all.
    Check(u16),
}

/// Something that may show that a container is a different one.
#[derive(Clone, Copy, Debug)]
pub enum Sign<'a> {
    /// The kubelet asks about the container: one of its startup paths, or any other.
    Asked {
        /// Which startup path, if it is one.
        path: Option<StartupPath>,
        /// The witnesses that tell of its startup, as they are seen now.
        seen: &'a [Sight],
    },
    /// The kubelet was told by a startup path that the container has started.
    Told {
        /// Which one.
        path: StartupPath,
        /// The witnesses as they were seen at that moment.
        seen: &'a [Sight],
    },
    /// Every witness that tells of the startup is there.
    Seen,
    /// A check has passed that shows the container: by a witness of its own, or because no check of it has one.
    Passed,
    /// A witness that was noted while the container was well is gone, or is a different one.
    WitnessChanged,
}

/// The consequence of a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The container is the one it was.
    Same,
    /// Somebody says that it is a different one, and the evidence says that it is not, or cannot be.
    Refused(Refusal),
    /// A new incarnation begins.
    Begins(Cause),
}

/// The reason for which a question for the startup begins nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// All witnesses are the same.
    SameWitnesses,
    /// Without a witness it would have been believed, but too many were asked for in a short time.
    TooMany,
}

/// The reason for which an incarnation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The kubelet has never asked before, and asks only while a container runs.
    FirstQuestion,
    /// The kubelet asks again for the startup, and the witness in this place is not the one it was.
    AskedAgain(usize),
    /// The kubelet asks again for the startup, and no witness contradicts it.
    AskedAgainUnwitnessed,
    /// The witness is a different one, and the kubelet never asks for the startup.
    WitnessChanged,
    /// The kubelet asks again after a pause, and the witness is still missing.
    AskedAfterPause(Duration),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameWitnesses => "its sockets and processes are the same as when it had started",
            Self::TooMany => "nothing shows whether it is the same, and too many have begun just now",
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstQuestion => f.write_str("the kubelet asks about the container for the first time"),
            Self::AskedAgain(_) => f.write_str(
                "the kubelet asks again whether the container has started, and a socket or process is a different one",
            ),
            Self::AskedAgainUnwitnessed => f.write_str(
                "the kubelet asks again whether the container has started, and no socket or process contradicts it",
            ),
            Self::WitnessChanged => f.write_str("a socket or process of the container is a different one"),
            Self::AskedAfterPause(pause) => {
                write!(f, "the kubelet asks again after {} s, and nothing listens yet", pause.as_secs())
            }
        }
    }
}

/// A 200 that the kubelet got from a startup path, with what was seen at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which path said so.
    pub path: StartupPath,
    /// The witnesses that told of the startup then; `None` where one of them had none to show.
    pub witnesses: Option<Vec<Witness>>,
}

impl Told {
    fn new(path: StartupPath, seen: &[Sight]) -> Self {
        let witnesses: Option<Vec<_>> = seen.iter().map(|sight| sight.witness().cloned()).collect();
        Self { path, witnesses: witnesses.filter(|all| !all.is_empty()) }
    }

    /// Compares what was seen then with what is seen now.
    fn compare(&self, seen: &[Sight]) -> Comparison {
        // Of many only the first may have been kept for this worker.
        let Some(then) = self.witnesses.as_ref().filter(|then| then.len() <= seen.len()) else {
            return Comparison::Unknown;
        };
        if seen.contains(&Sight::Unwitnessed) {
            return Comparison::Unknown;
        }
        let is_same = |(then, now): (&Witness, &Sight)| now.witness().is_some_and(|now| then.is_same(now));
        match then.iter().zip(seen).position(|pair| !is_same(pair)) {
            None => Comparison::Same,
            Some(place) => Comparison::Different(place),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Same,
    Different(usize),
    Unknown,
}

/// All that is known of the lives of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    known: Remembered,
    last_question: Option<Instant>,
    pace: Pace,
    /// Whether the next worker would have to know more than it was told.
    has_news: bool,
}

/// The part of a [`Life`] that the next worker has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The present incarnation.
    pub incarnation: Incarnation,
    /// Whether the kubelet has ever asked about the container.
    pub was_asked: bool,
    /// Whether the kubelet has ever asked one of its startup paths.
    pub is_wired: bool,
    /// Since when every witness of this incarnation that tells of the startup has been seen.
    pub seen: Option<Instant>,
    /// Whether a check that shows the container has passed in this incarnation.
    pub has_passed: bool,
    /// The answers that the kubelet got in this incarnation.
    pub told: Vec<Told>,
    /// The longest time between two questions while the container was well; 0 where it never was.
    pub usual_gap: Duration,
    /// The same while it was not, but for the pauses.
    pub early_gap: Duration,
}

impl Life {
    /// Begins the first incarnation; `is_joined` says that the container is there already.
    pub const fn first(now: Instant, is_joined: bool) -> Self {
        let known = Remembered {
            incarnation: Incarnation { id: 1, number: 1, began: now, is_joined },
            was_asked: false,
            is_wired: false,
            seen: None,
            has_passed: false,
            told: Vec::new(),
            usual_gap: Duration::ZERO,
            early_gap: Duration::ZERO,
        };
        Self { known, last_question: None, pace: Pace::full(now), has_news: true }
    }

    /// Goes on where an earlier worker was. A pause that it died in is counted from now.
    pub fn resume(known: Remembered, now: Instant) -> Self {
        let last_question = known.was_asked.then_some(now);
        Self { known, last_question, ..Self::first(now, false) }
    }

    /// Returns what the next worker has to know, where that has changed since it was taken last.
    pub fn take_news(&mut self) -> Option<Remembered> {
        std::mem::take(&mut self.has_news).then(|| self.known.clone())
    }

    /// Returns the present incarnation.
    pub const fn incarnation(&self) -> Incarnation {
        self.known.incarnation
    }

    /// Returns since when the container of this incarnation has been seen.
    pub const fn seen(&self) -> Option<Instant> {
        self.known.seen
    }

    /// Returns whether the kubelet has ever asked for the startup of this container.
    pub const fn is_wired(&self) -> bool {
        self.known.is_wired
    }

    /// Returns whether a question of the kubelet at `now` would come after a pause: nobody asks about a container in its
    /// back-off.
    pub fn is_pause(&self, now: Instant) -> bool {
        /// The delay of a busy kubelet.
        const TOLERANCE: Duration = Duration::from_secs(2);
        let Remembered { usual_gap, early_gap, .. } = self.known;
        let usual = if usual_gap.is_zero() { early_gap } else { usual_gap };
        !usual.is_zero() && self.gap(now).is_some_and(|gap| gap > usual * 3 / 2 + TOLERANCE)
    }

    fn gap(&self, now: Instant) -> Option<Duration> {
        self.last_question.map(|last| now.saturating_duration_since(last))
    }

    /// Takes a sign, and returns what follows from it.
    pub fn take(&mut self, sign: Sign<'_>, now: Instant) -> Step {
        match sign {
            Sign::Asked { path, seen } => self.asked(path, seen, now),
            Sign::Told { path, seen } => {
                self.known.told.retain(|told| told.path != path);
                self.known.told.push(Told::new(path, seen));
                self.has_news = true;
                Step::Same
            }
            Sign::Seen => {
                self.has_news |= self.known.seen.is_none();
                self.known.seen.get_or_insert(now);
                Step::Same
            }
            Sign::Passed => {
                self.has_news |= !self.known.has_passed;
                self.known.has_passed = true;
                Step::Same
            }
            Sign::WitnessChanged if self.known.is_wired => Step::Same,
            Sign::WitnessChanged => self.begin(Cause::WitnessChanged, now),
        }
    }

    fn asked(&mut self, path: Option<StartupPath>, seen: &[Sight], now: Instant) -> Step {
        let is_first = !self.known.was_asked;
        let pause = self.gap(now).filter(|_| self.is_pause(now));
        let was_wired = self.known.is_wired;
        self.note_question(path.is_some(), pause.is_some(), now);
        let is_missing = !seen.is_empty() && seen.iter().all(|sight| *sight == Sight::Missing);
        match (path, pause) {
            _ if is_first => self.first_question(now),
            (None, Some(pause)) if !was_wired && is_missing => self.begin(Cause::AskedAfterPause(pause), now),
            (None, _) => Step::Same,
            (Some(path), _) => self.asked_startup(path, was_wired, seen, now),
        }
    }

    fn note_question(&mut self, is_startup: bool, is_pause: bool, now: Instant) {
        let gap = self.gap(now).filter(|_| !is_pause).unwrap_or_default();
        let Remembered { usual_gap, early_gap, has_passed, .. } = &mut self.known;
        let longest = if *has_passed { usual_gap } else { early_gap };
        self.has_news |= gap > *longest;
        *longest = gap.max(*longest);
        self.has_news |= !self.known.was_asked || (is_startup && !self.known.is_wired);
        self.known.was_asked = true;
        self.known.is_wired |= is_startup;
        self.last_question = Some(now);
    }

    /// Begins the first incarnation anew at the first question: image pulls and other init containers are nobody's
    /// initial delay.
    fn first_question(&mut self, now: Instant) -> Step {
        if self.known.has_passed || self.known.incarnation.is_joined {
            return Step::Same;
        }
        let seen = self.known.seen;
        let step = self.begin(Cause::FirstQuestion, now);
        self.known.incarnation.number -= 1;
        self.known.seen = seen;
        step
    }

    fn asked_startup(&mut self, path: StartupPath, was_wired: bool, seen: &[Sight], now: Instant) -> Step {
        let comparison = match self.known.told.iter().find(|told| told.path == path) {
            Some(told) => told.compare(seen),
            // The sidecar itself was restarted: an earlier one told the kubelet, and a witness would have shown more.
            None if !was_wired
                && self.known.has_passed
                && seen.iter().all(|sight| *sight == Sight::Unwitnessed) =>
            {
                Comparison::Unknown
            }
            None => return Step::Same,
        };
        match comparison {
            Comparison::Same => Step::Refused(Refusal::SameWitnesses),
            Comparison::Different(place) => self.begin(Cause::AskedAgain(place), now),
            Comparison::Unknown if self.pace.allows(now) => self.begin(Cause::AskedAgainUnwitnessed, now),
            Comparison::Unknown => Step::Refused(Refusal::TooMany),
        }
    }

    fn begin(&mut self, cause: Cause, now: Instant) -> Step {
        let Incarnation { id, number, .. } = self.known.incarnation;
        self.known.incarnation = Incarnation { id: id + 1, number: number + 1, began: now, is_joined: false };
        (self.known.seen, self.known.has_passed) = (None, false);
        self.known.told.clear();
        self.has_news = true;
        Step::Begins(cause)
    }
}

#[cfg(test)]
mod tests;
