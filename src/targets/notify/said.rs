//! The messages of an app over `sd_notify(3)` and their meaning. Pure: messages go in, and the clock is given.

use std::time::Duration;

use tokio::time::Instant;

use crate::outcome::beginning;

/// The longest `STATUS=` that is kept, in bytes.
const MAX_STATUS_BYTES: usize = 1024;

/// The time by which an app may be ready before the kubelet has asked about its container.
const MAX_LEAD: Duration = Duration::from_secs(10);

/// The number of repeated READY=1 from which on they tell of no new life: php-fpm says it with every status, and so
/// says it again in its next one.
const MIN_REPEATS: u32 = 3;

/// The texts that are kept for the next sidecar: whether the app is ready, is so anew, and has given up.
const KEPT: [(&str, (bool, bool, bool)); 5] = [
    ("ready", (true, false, false)),
    ("ready anew", (true, true, false)),
    ("ready, given up", (true, false, true)),
    ("ready anew, given up", (true, true, true)),
    ("given up", (false, false, true)),
];

/// The app's last word on its readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Silent,
    Ready,
    Reloading,
    Stopping,
}

/// All that counts of an app's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    phase: Phase,
    /// Whether it became ready without having been unready in between: this is the next life of the app, and the
    /// kubelet has not yet asked about it.
    is_ready_anew: bool,
    /// How often it has said that it is ready while it was.
    repeats: u32,
    /// When it last said that it is ready.
    ready: Instant,
    /// When it last said that it lives, or began to.
    alive: Instant,
    has_given_up: bool,
    status: Option<String>,
}

impl Said {
    /// Returns the state of an app that has said nothing.
    pub const fn nothing(now: Instant) -> Self {
        Self {
            phase: Phase::Silent,
            is_ready_anew: false,
            repeats: 0,
            ready: now,
            alive: now,
            has_given_up: false,
            status: None,
        }
    }

    /// Goes on with what [`Said::to_remember`] returned.
    pub fn remembered(text: &str, now: Instant) -> Self {
        let known = KEPT.iter().find(|(known, _)| *known == text);
        let (is_ready, is_ready_anew, has_given_up) = known.map(|(_, facts)| *facts).unwrap_or_default();
        let phase = if is_ready { Phase::Ready } else { Phase::Silent };
        Self { phase, is_ready_anew, has_given_up, ..Self::nothing(now) }
    }

    /// Returns what the next sidecar has to know, if anything: an app says it only once.
    pub fn to_remember(&self) -> Option<&'static str> {
        let is_ready = self.phase == Phase::Ready;
        let facts = (is_ready, is_ready && self.is_ready_anew, self.has_given_up);
        KEPT.iter().find(|(_, known)| *known == facts).map(|(text, _)| *text)
    }

    /// Takes one message: assignments, one a line. All others are only for systemd.
    pub fn hear(&mut self, message: &str, now: Instant) {
        for line in message.lines() {
            match line {
                "READY=1" => self.hear_ready(now),
                "RELOADING=1" => self.phase = Phase::Reloading,
                "STOPPING=1" => self.phase = Phase::Stopping,
                "WATCHDOG=1" => self.alive = now,
                "WATCHDOG=trigger" => self.has_given_up = true,
                _ => {
                    if let Some(status) = line.strip_prefix("STATUS=") {
                        self.status =
                            (!status.is_empty()).then(|| beginning(status, MAX_STATUS_BYTES).into_owned());
                    }
                }
            }
        }
    }

    fn hear_ready(&mut self, now: Instant) {
        match self.phase {
            Phase::Stopping => self.is_ready_anew = true,
            Phase::Ready => {
                self.repeats += 1;
                self.is_ready_anew = self.repeats < MIN_REPEATS;
            }
            Phase::Silent | Phase::Reloading => {}
        }
        self.phase = Phase::Ready;
        (self.ready, self.alive, self.has_given_up) = (now, now, false);
    }

    /// Begins the present life anew: the app has as long to say that it lives as if it had just been started.
    pub fn begin_anew(&mut self, now: Instant) {
        self.alive = self.alive.max(now);
    }

    /// Begins a new life of the app's container. What its app has said already, just before the kubelet asked, is kept.
    pub fn begin(&mut self, now: Instant) {
        if self.is_ready_anew && now.saturating_duration_since(self.ready) <= MAX_LEAD {
            (self.is_ready_anew, self.repeats) = (false, 0);
        } else {
            *self = Self::nothing(now);
        }
    }

    /// Says whether the app is ready.
    ///
    /// # Errors
    /// Why it is not.
    pub fn readiness(&self) -> Result<(), String> {
        match self.phase {
            Phase::Ready => Ok(()),
            Phase::Silent => Err(self.reason("the app has not said READY=1 yet".to_owned())),
            Phase::Reloading => Err(self.reason("the app said RELOADING=1".to_owned())),
            Phase::Stopping => Err(self.reason("the app said STOPPING=1".to_owned())),
        }
    }

    /// Says whether the app lives: it has to say so every `max_age`.
    ///
    /// # Errors
    /// Why it does not.
    pub fn liveness(&self, now: Instant, max_age: Duration) -> Result<(), String> {
        let age = now.saturating_duration_since(self.alive);
        if self.has_given_up {
            Err(self.reason("the app said WATCHDOG=trigger".to_owned()))
        } else if age >= max_age {
            let age = age.as_secs_f64();
            Err(self
                .reason(format!("the app has not said WATCHDOG=1 for {age:.1} s, {max_age:?} is allowed")))
        } else {
            Ok(())
        }
    }

    /// Returns when the app is no longer alive, unless it says so again.
    pub fn lives_until(&self, max_age: Duration) -> Instant {
        self.alive + max_age
    }

    fn reason(&self, why: String) -> String {
        match &self.status {
            Some(status) => format!("{why}: {status}"),
            None => why,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX_AGE: Duration = Duration::from_secs(30);

    /// Returns what an app is after its messages, in which `begin` is a new life of its container.
    fn after(messages: &[&str]) -> Said {
        let now = Instant::now();
        let mut said = Said::nothing(now);
        for message in messages {
            match *message {
                "begin" => said.begin(now),
                message => said.hear(message, now),
            }
        }
        said
    }

    #[test]
    fn an_app_is_ready_from_its_word_until_it_takes_it_back() {
        let reason = |messages: &[&str]| after(messages).readiness().err();
        assert_eq!(reason(&[]).as_deref(), Some("the app has not said READY=1 yet"));
        assert_eq!(reason(&["READY=1"]), None);
        assert_eq!(reason(&["MAINPID=7\nREADY=1\nSTATUS=well"]), None);
        assert_eq!(reason(&["READY=1", "RELOADING=1"]).as_deref(), Some("the app said RELOADING=1"));
        assert_eq!(reason(&["READY=1", "RELOADING=1", "READY=1"]), None);
        assert_eq!(reason(&["READY=1", "STOPPING=1"]).as_deref(), Some("the app said STOPPING=1"));
        let loading = reason(&["STATUS=loading 3 of 5"]);
        assert_eq!(loading.as_deref(), Some("the app has not said READY=1 yet: loading 3 of 5"));
        assert_eq!(reason(&["STATUS=x", "STATUS="]).as_deref(), Some("the app has not said READY=1 yet"));
        for other in ["READY=0", "ready=1", " READY=1", "READY=11", "READY", "X_READY=1", ""] {
            assert!(reason(&[other]).is_some(), "{other:?}");
        }
    }

    #[test]
    fn a_new_life_begins_unready_unless_its_app_was_quicker_than_the_kubelet() {
        let is_ready = |messages: &[&str]| after(messages).readiness().is_ok();
        assert!(!is_ready(&["READY=1", "begin"]));
        assert!(!is_ready(&["READY=1", "RELOADING=1", "READY=1", "begin"]), "a reload is no new life");
        assert!(is_ready(&["READY=1", "READY=1", "begin"]), "killed, and ready again");
        assert!(is_ready(&["READY=1", "STOPPING=1", "READY=1", "begin"]), "stopped, and ready again");
        assert!(!is_ready(&["READY=1", "READY=1", "begin", "begin"]));
        assert!(is_ready(&["READY=1", "begin", "READY=1"]));
        assert!(!is_ready(&["READY=1", "begin", "READY=1", "begin"]));
        assert!(!is_ready(&["READY=1", "READY=1", "READY=1", "READY=1", "begin"]), "it says so all the time");
    }

    #[test]
    fn a_word_long_before_the_kubelet_asks_was_the_one_of_the_life_before() {
        let began = Instant::now();
        let mut said = Said::nothing(began);
        said.hear("READY=1", began);
        said.hear("READY=1", began + Duration::from_secs(60));
        said.begin(began + Duration::from_secs(71));
        assert!(said.readiness().is_err());
    }

    #[test]
    fn where_a_life_begins_anew_the_app_has_its_whole_time_again() {
        let began = Instant::now();
        let mut said = Said::nothing(began);
        said.hear("READY=1", began);
        said.begin_anew(began + Duration::from_secs(60));
        assert_eq!(said.readiness(), Ok(()));
        assert_eq!(said.liveness(began + Duration::from_secs(89), MAX_AGE), Ok(()));
    }

    #[test]
    fn an_app_lives_for_so_long_after_its_last_sign() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut said = Said::nothing(began);
        assert_eq!(said.liveness(at(29), MAX_AGE), Ok(()));
        let late = "the app has not said WATCHDOG=1 for 31.0 s, 30s is allowed";
        assert_eq!(said.liveness(at(31), MAX_AGE), Err(late.to_owned()));
        said.hear("WATCHDOG=1\nSTATUS=busy", at(31));
        assert_eq!(said.lives_until(MAX_AGE), at(61));
        assert_eq!(said.liveness(at(60), MAX_AGE), Ok(()));
        assert!(said.liveness(at(61), MAX_AGE).is_err());
        assert_eq!(said.liveness(at(62), MAX_AGE), Err(format!("{late}: busy")));
        said.hear("WATCHDOG=trigger\nWATCHDOG=1", at(62));
        assert_eq!(said.liveness(at(62), MAX_AGE), Err("the app said WATCHDOG=trigger: busy".to_owned()));
        said.begin(at(70));
        assert_eq!(said.liveness(at(99), MAX_AGE), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_what_an_app_does_not_say_again() {
        let now = Instant::now();
        let restored = |messages: &[&str]| {
            let said = after(messages);
            said.to_remember().map(|text| Said::remembered(text, now))
        };
        assert_eq!(restored(&[]), None);
        assert_eq!(restored(&["READY=1", "STOPPING=1"]), None);
        assert!(restored(&["READY=1"]).is_some_and(|said| said.readiness().is_ok()));
        for messages in [&["READY=1", "WATCHDOG=trigger"][..], &["RELOADING=1", "WATCHDOG=trigger"]] {
            let given_up = restored(messages).unwrap();
            assert_eq!(given_up.readiness().is_ok(), messages[0] == "READY=1");
            assert!(given_up.liveness(now, MAX_AGE).is_err());
        }
        let mut anew = restored(&["READY=1", "READY=1"]).unwrap();
        anew.begin(now);
        assert_eq!(anew.readiness(), Ok(()));
        assert!(Said::remembered("anything else", now).readiness().is_err());
    }

    #[test]
    fn a_status_has_a_limit() {
        let said = after(&[&format!("STATUS={}", "x".repeat(4000))]);
        assert!(said.readiness().unwrap_err().len() < MAX_STATUS_BYTES + 50);
    }

    proptest! {
        #[test]
        fn only_its_own_line_makes_an_app_ready(message in "([A-Z]{0,8}[=\n\r\u{0}]?[01]?|READY=1|STATUS=.{0,2000}|.{0,9})(\n.{0,9}){0,3}") {
            let said = after(&[&message]);
            prop_assert_eq!(said.readiness().is_ok(), message.lines().any(|line| line == "READY=1"));
            prop_assert!(said.readiness().err().is_none_or(|reason| reason.len() < MAX_STATUS_BYTES + 50));
        }
    }
}
