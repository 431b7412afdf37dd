//! The report on each pod: the times before and after, what moved, what is dangerous.

use super::asked::Checks;
use super::findings::{Finding, Relay, findings};
use super::inject::Done;
use super::pod::{Container, Pod};
use super::probe::field;
use super::sidecar::Source;
use super::times::{Time, Times};
use crate::probe::Probe;

/// The facts about a pod without its text.
#[derive(Clone, Debug)]
pub struct View {
    /// Its kind and name.
    pub title: String,
    /// Its containers but the sidecar, in their order.
    pub containers: Vec<ContainerView>,
    /// The remarks about it.
    pub findings: Vec<Finding>,
}

/// The facts about a container.
#[derive(Clone, Debug)]
pub struct ContainerView {
    /// Its name.
    pub name: String,
    /// Its probes, and whether each asks the sidecar.
    pub probes: Vec<(Probe, bool)>,
    /// The times that things take.
    pub times: Times,
}

impl View {
    /// Looks at a pod.
    pub fn of(pod: &Pod<'_, '_>, source: &Source) -> Self {
        let relay = Relay::of(pod, source);
        let known = relay.as_ref().map(|relay| (relay.port, &relay.checks));
        let containers = pod.apps().map(|container| ContainerView::of(container, known)).collect();
        Self { title: pod.title(), containers, findings: findings(pod, relay.as_ref()) }
    }

    /// Returns the lines of `explain`.
    pub fn lines(&self, file: &str) -> Vec<String> {
        let mut lines = vec![format!("{file}: {}", self.title)];
        for container in &self.containers {
            lines.push(format!("  {}: {}", container.name, container.probed()));
            lines.extend(container.times.lines(None).into_iter().map(|line| format!("    {line}")));
        }
        lines.extend(self.findings.iter().map(|finding| format!("  {finding}")));
        lines
    }
}

impl ContainerView {
    fn of(container: &Container, relay: Option<(u16, &Checks)>) -> Self {
        let is_asking =
            |native| relay.is_some_and(|(port, _)| super::asked::asked(container, native, port).is_some());
        let probes =
            container.probes.iter().map(|placed| (placed.probe, is_asking(&placed.native))).collect();
        Self { name: container.name.clone(), probes, times: Times::of(container, relay) }
    }

    fn probed(&self) -> String {
        if self.probes.is_empty() {
            return "no probes: it always counts as healthy and ready".to_owned();
        }
        let probe = |(probe, is_asking): &(Probe, bool)| {
            format!("{} {}", field(*probe), if *is_asking { "through the sidecar" } else { "native" })
        };
        self.probes.iter().map(probe).collect::<Vec<_>>().join(", ")
    }
}

impl Times {
    /// Returns a line for each time; `before` is what it was, where that is known.
    fn lines(&self, before: Option<&Self>) -> Vec<String> {
        let line = |of: fn(&Self) -> Time, what: &str, when: &str| {
            let (now, was) = (of(self), before.map(of));
            let says = match now {
                Time::Within(_) => format!("{what} at most {now} after it {when}"),
                Time::Never if was.is_none_or(|was| was == Time::Never) => return None,
                Time::Never => format!("never {what}"),
                Time::Unknown => format!("{what}: after a time that its checks do not tell here"),
            };
            Some(says + &was.map(|was| format!(" ({was} before)")).unwrap_or_default())
        };
        let lines = [
            line(|times| times.restart, "restarted", "stops answering"),
            line(|times| times.out_of_traffic, "out of traffic", "stops answering"),
            line(|times| times.to_traffic, "in traffic", "answers"),
            line(|times| times.boot, "restarted", "starts and never answers"),
        ];
        lines.into_iter().flatten().collect()
    }
}

/// Returns what `inject` says of a pod: `before` and `after` are what it was and is.
pub fn injected(file: &str, done: &Done, before: &View, after: &View) -> Vec<String> {
    let mut lines = vec![format!("{file}: {}", done.title)];
    if let Some(why) = &done.left_alone {
        return vec![format!("{}: left alone: {why}", lines[0])];
    }
    for (was, is) in before.containers.iter().zip(&after.containers) {
        let moved: Vec<_> = is.probes.iter().filter(|probe| !was.probes.contains(probe)).collect();
        if moved.is_empty() {
            continue;
        }
        let word = |(probe, _): &&(Probe, bool)| {
            let is_new = !was.probes.iter().any(|(other, _)| other == probe);
            format!("{} {}", field(*probe), if is_new { "added" } else { "moved" })
        };
        lines.push(format!("  {}: {}", is.name, moved.iter().map(word).collect::<Vec<_>>().join(", ")));
        lines.extend(is.times.lines(Some(&was.times)).into_iter().map(|line| format!("    {line}")));
    }
    for (container, probe, why) in &done.stays {
        lines.push(format!("  {container}: {} stays native: {why}", field(*probe)));
    }
    if !done.capabilities.is_empty() {
        let names = done.capabilities.join(", ");
        lines.push(format!(
            "  the sidecar runs as root with {names}: a command in another container needs it"
        ));
    }
    lines.extend(
        after.findings.iter().filter(|finding| finding.is_danger).map(|finding| format!("  {finding}")),
    );
    lines
}
