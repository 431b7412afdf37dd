//! The way from the kubelet through the sidecar: questions that nobody answers, checks that nobody asks for, patience
//! that is too short or counts twice.

use std::time::Duration;

use super::{Finding, Relay, danger, note};
use crate::config::Config;
use crate::grammar::{Kind, Spec, options, values};
use crate::patience::Asking;
use crate::plugin::asked::{Asked, Checks, questions};
use crate::plugin::env;
use crate::plugin::pod::{Container, PlacedProbe, Pod};
use crate::plugin::probe::field;
use crate::probe::Probe;

/// The longest time that the kubelet may find nobody on the port when a sidecar dies twice in a row.
const TWO_CRASHES: Duration = Duration::from_secs(14);

/// The patience from which on the kubelet's side adds what belongs into the checks.
const PATIENT_READYZ: Duration = Duration::from_secs(10);

pub(super) fn findings(pod: &Pod<'_, '_>, relay: &Relay<'_>) -> Vec<Finding> {
    let judge = Judge { pod, relay };
    let mut found = judge.variables();
    found.extend(judge.own_probes());
    for container in pod.apps() {
        for (placed, asked) in questions(container, relay.port) {
            found.extend(judge.question(container, placed, &asked));
        }
        found.extend(judge.startup(container));
    }
    if let Checks::Known(specs) = &relay.checks {
        found.extend(specs.iter().filter_map(|spec| judge.check(spec)));
        found.extend(specs.iter().filter_map(|spec| judge.audience(spec)));
    }
    found
}

struct Judge<'a, 't> {
    pod: &'a Pod<'a, 't>,
    relay: &'a Relay<'a>,
}

impl Judge<'_, '_> {
    /// Returns what the sidecar would say of its variables.
    fn variables(&self) -> Vec<Finding> {
        let line = self.line();
        match (&self.relay.checks, self.config()) {
            (Checks::Elsewhere, _) => {
                vec![note(line, "checks come from elsewhere (envFrom, valueFrom), and are not judged here")]
            }
            (_, Err(errors)) => errors.lines().map(|error| danger(line, error)).collect(),
            (_, Ok(_)) => Vec::new(),
        }
    }

    fn config(&self) -> Result<Config, String> {
        let variables = env::literals(self.pod.tree, self.relay.sidecar);
        Config::read(env::os(&variables)).map_err(|errors| errors.to_string())
    }

    /// Probes and hooks of the sidecar itself.
    fn own_probes(&self) -> Vec<Finding> {
        let sidecar = self.relay.sidecar;
        let waits = "the app is started only after it has passed: a deadlock";
        let asks_about_app = |(placed, asked): (&PlacedProbe, Asked)| {
            let path = asked.about?.path();
            let name = field(placed.probe);
            Some(match placed.probe {
                Probe::Startup if sidecar.is_native_sidecar => {
                    danger(placed.line, format!("{name} of the sidecar asks /{path}: {waits}"))
                }
                Probe::Readiness => {
                    note(placed.line, format!("{name} of the sidecar asks /{path}, as the app's should"))
                }
                _ => {
                    let text = format!(
                        "{name} of the sidecar asks /{path}: the sidecar is restarted, and not the app"
                    );
                    danger(placed.line, text)
                }
            })
        };
        let mut found: Vec<_> = questions(sidecar, self.relay.port).filter_map(asks_about_app).collect();
        let hook = self.pod.tree.at(sidecar.id, &["lifecycle", "postStart", "exec", "command"]);
        let words = hook.map_or(&[][..], |hook| self.pod.tree.items(hook));
        let is_about_app = |word: &str| Probe::ALL.iter().any(|probe| word == probe.path());
        if words.iter().filter_map(|word| self.pod.tree.text_of(*word)).any(is_about_app)
            && let Some(hook) = hook
            && sidecar.is_native_sidecar
        {
            let text = "postStart of the sidecar waits for the app, which is started only after it has ended: a deadlock";
            found.push(danger(self.pod.tree.line(hook), text));
        }
        found
    }

    fn question(&self, container: &Container, placed: &PlacedProbe, asked: &Asked) -> Vec<Finding> {
        let (name, line) = (format!("{} of {}", field(placed.probe), container.name), placed.line);
        let mut found = Vec::new();
        match (placed.probe, asked.about) {
            (_, None) => {
                found.push(danger(line, format!("{name} asks /-/healthy, which says nothing of the app")));
            }
            (probe, Some(about)) if probe == about => {}
            (Probe::Liveness, Some(about)) => {
                let text = format!(
                    "{name} asks /{}: the app is restarted for what only {about} is about",
                    about.path()
                );
                found.push(danger(line, text));
            }
            (probe, Some(about)) => {
                found.push(note(line, format!("{name} asks /{}, not /{}", about.path(), probe.path())));
            }
        }
        if let Some(other) = asked.container.as_ref().filter(|other| **other != container.name) {
            found.push(danger(line, format!("{name} asks about container {other}")));
        }
        if let (Some(other), Checks::Known(specs)) = (&asked.container, &self.relay.checks)
            && !specs.iter().any(|spec| spec.container.as_deref() == Some(other))
        {
            let text = format!("{name} asks about container {other}, which no check names: it always fails");
            found.push(danger(line, text));
        }
        found.extend(self.patience(&name, placed, asked));
        found
    }

    /// Returns whether the kubelet's side is patient enough, and not more.
    fn patience(&self, name: &str, placed: &PlacedProbe, asked: &Asked) -> Option<Finding> {
        let timing = &placed.native.timing;
        let asking = Asking { period: timing.period, failures: timing.thresholds.failure };
        let shown = format!("{} s x {}", timing.period.as_secs(), asking.failures);
        match placed.probe {
            Probe::Liveness if timing.period * (asking.failures - 1) <= TWO_CRASHES => {
                let text = format!(
                    "{name}: {shown}: a sidecar that crashes twice in a row restarts the app; 5 s x 4 outlasts it"
                );
                Some(danger(placed.line, text))
            }
            Probe::Liveness => {
                let hold = self.config().ok()?.settings.liveness_hold?;
                let text = format!(
                    "{name}: {shown} is longer than a liveness failure stands ({} s): one that passes again restarts nothing",
                    values::written_seconds(hold)
                );
                (asking.until_decided() > hold).then(|| danger(placed.line, text))
            }
            Probe::Readiness if asking.until_decided() > PATIENT_READYZ => {
                let text = format!("{name}: {shown} comes on top of the failure thresholds of the checks");
                Some(note(placed.line, text))
            }
            Probe::Startup if asked.wait > 0 && timing.timeout.as_secs() <= asked.wait => {
                let text = format!(
                    "{name}: the kubelet gives up after {} s, and the answer may take {} s",
                    timing.timeout.as_secs(),
                    asked.wait
                );
                Some(danger(placed.line, text))
            }
            Probe::Readiness | Probe::Startup => None,
        }
    }

    /// Finds an app that no `/startupz` is asked for: that question tells of a restart.
    fn startup(&self, container: &Container) -> Option<Finding> {
        let wired = questions(container, self.relay.port).find(|(_, asked)| asked.about.is_some());
        let line = wired.map(|(placed, _)| placed.line)?;
        let text = format!(
            "{} has no startupProbe that asks /startupz: that it was restarted is seen by its sockets only",
            container.name
        );
        match container.probe(Probe::Startup) {
            None => Some(danger(line, text)),
            Some(placed)
                if questions(container, self.relay.port).all(|(other, _)| other.node != placed.node) =>
            {
                Some(note(line, text))
            }
            Some(_) => None,
        }
    }

    /// Finds a check that no probe asks for, or that cannot see what it looks for.
    fn check(&self, spec: &Spec) -> Option<Finding> {
        let asks = |(_, asked): (&PlacedProbe, Asked)| {
            let of_container = match (&asked.container, &spec.container) {
                (Some(asked), Some(container)) => **asked == **container,
                _ => true,
            };
            asked.about == Some(spec.probe) && of_container
        };
        let is_asked = self.pod.running().any(|container| questions(container, self.relay.port).any(asks));
        if !is_asked && spec.required {
            let text = format!("{}: no probe asks /{}", spec.variable, spec.probe.path());
            return Some(danger(self.line(), text));
        }
        let is_inside = spec.options.get(options::IN_PROCESS).is_some();
        let text =
            format!("{} looks for a process, and the pod has no shareProcessNamespace: true", spec.variable);
        (is_inside && !self.pod.shares_processes()).then(|| danger(self.line(), text))
    }

    /// Finds a socket for an app's own words that no app is told of.
    fn audience(&self, spec: &Spec) -> Option<Finding> {
        let Kind::Notify(path) = &spec.target.kind else { return None };
        let tree = self.pod.tree;
        let is_told = |app: &Container| {
            let mut literals = env::literals(tree, app).into_iter();
            let is_from_elsewhere = tree.at(app.id, &["envFrom"]).is_some();
            is_from_elsewhere || literals.any(|(name, value)| name == "NOTIFY_SOCKET" && value == path.0)
        };
        let text = format!(
            "{}: no container has NOTIFY_SOCKET={}, and nobody else would say anything there",
            spec.variable, path.0
        );
        (!self.pod.apps().any(is_told)).then(|| note(self.line(), text))
    }

    fn line(&self) -> usize {
        self.pod.tree.line(self.relay.sidecar.id)
    }
}
