//! What has happened in a pod, as a scenario looks back on it.

use std::time::{Duration, SystemTime};

use crate::answers::{self, Answer};
use crate::pod::{Pod, SIDECAR};
use crate::prober::Kind;

impl Pod {
    /// Returns what the kubelet was answered when it asked one probe of a container.
    pub fn answers(&self, container: &str, kind: Kind) -> Vec<Answer> {
        let state = self.shared.lock();
        let mine = |one: &&Answer| one.container == container && one.kind == kind;
        state.answers.iter().filter(mine).cloned().collect()
    }

    /// Returns what the kubelet was answered about one life of the container.
    pub fn answers_in(&self, container: &str, kind: Kind, attempt: u32) -> Vec<Answer> {
        let mut answers = self.answers(container, kind);
        answers.retain(|one| one.attempt == attempt);
        answers
    }

    /// Returns whether the container has been restarted so often, has started, and the pod is ready. Before the kubelet
    /// has asked whether it has started, the pod may be ready for a moment by what is left of the container before.
    pub fn is_ready_again(&self, container: &str, restarts: u32) -> bool {
        let started = |one: &Answer| one.outcome.passed;
        self.restarts(container) == restarts
            && self.answers_in(container, Kind::Startup, restarts).iter().any(started)
            && self.ready()
    }

    /// Returns what a container was asked for its liveness in one of its lives, once the kubelet had asked whether it
    /// has started.
    pub fn liveness_in(&self, container: &str, attempt: u32) -> Vec<Answer> {
        let startup = self.answers_in(container, Kind::Startup, attempt);
        let since = startup.first().map(|one| one.asked);
        let mut answers = self.answers_in(container, Kind::Liveness, attempt);
        answers.retain(|one| since.is_none_or(|since| one.asked >= since));
        answers
    }

    pub fn events(&self) -> Vec<String> {
        self.shared.lock().events.clone()
    }

    /// Returns the age of the pod at the first event of this kind.
    pub fn event_at(&self, what: &str) -> Duration {
        let events = self.events();
        let event = events.iter().find(|event| event.contains(what));
        let event = event.unwrap_or_else(|| panic!("no event {what:?}\n{}", self.story()));
        let seconds = event.split_whitespace().next().and_then(|at| at.parse().ok());
        Duration::from_secs_f64(seconds.expect("an event begins with its time"))
    }

    /// Returns when the app of a container began to listen, by its own words, counted as the pod's age; `None`: not
    /// yet.
    pub fn listens_since(&self, container: &str) -> Option<Duration> {
        let log = self.container(container).logs();
        let (_, since) = log.rsplit_once("since ")?;
        let since = Duration::from_secs_f64(since.trim().parse().expect("seconds since 1970"));
        let born = self.shared.born_at.duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
        Some(since.saturating_sub(born))
    }

    /// Returns everything that has happened in the pod, and what its sidecars have written.
    pub fn story(&self) -> String {
        let mut story = self.events().join("\n");
        story.push_str("\n--- what the kubelet was answered:\n");
        let state = self.shared.lock();
        story.push_str(&answers::changes(&state.answers));
        // A native pod has none.
        let status = state.containers.get(SIDECAR).cloned();
        drop(state);
        for sidecar in status.iter().flat_map(|status| status.earlier.iter().chain(&status.container)) {
            story.push_str("\n--- log of a sidecar:\n");
            story.push_str(&sidecar.logs());
        }
        story
    }
}
