//! The answers of the probes' paths: the findings of the checks, by lines, and the reasons that belong to none.

use super::{Entry, Look, Pod, Scope};
use crate::grammar::RESERVED;
use crate::lock::lock;
use crate::probe::Probe;
use crate::unix_time::TimeOfDay;
use crate::verdict::{Facts, Finding, Verdict, Why, of_group};

impl Pod {
    /// Returns whether a probe passes.
    pub fn passes(&self, asked: Probe, scope: Scope) -> bool {
        self.passes_by(asked, scope, &self.look(asked, scope))
    }

    /// Returns the same by what is known already: a scrape looks for nobody.
    pub fn passes_as_known(&self, asked: Probe, scope: Scope) -> bool {
        self.passes_by(asked, scope, &self.known(scope))
    }

    fn passes_by(&self, asked: Probe, scope: Scope, look: &Look<'_>) -> bool {
        let passes = |entry: &Entry| look.facts(entry, |facts| facts.failure(asked).is_none());
        let group_passes = |entry: &Entry| {
            let group = &entry.check.any_of;
            let is_member = |other: &&Entry| group.is_some() && other.check.any_of == *group;
            self.entries_of(asked, scope).filter(is_member).any(passes)
        };
        let is_good = |entry: &Entry| !entry.check.required || passes(entry) || group_passes(entry);
        self.entries_of(asked, scope).all(is_good) && self.built_in(asked, look).next().is_none()
    }

    /// Returns the whole answer of a probe, without the lines named in `excluded`.
    pub fn verdict(&self, asked: Probe, scope: Scope, excluded: &[String]) -> Verdict {
        let look = self.look(asked, scope);
        let mut findings = lines(self.entries_of(asked, scope), &look, |facts| facts.finding(asked));
        let is_known = |name: &&String| {
            RESERVED.contains(&name.as_str()) || findings.iter().any(|(line, _)| line == *name)
        };
        let mut unknown: Vec<_> = excluded.iter().filter(|name| !is_known(name)).cloned().collect();
        unknown.sort_unstable();
        unknown.dedup();
        let built_in = self.built_in(asked, &look).map(|(name, why)| (name.to_owned(), Finding::Failed(why)));
        findings.extend(built_in);
        findings.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, finding) in &mut findings {
            if excluded.contains(name) {
                *finding = Finding::Excluded;
            }
        }
        Verdict { findings, unknown }
    }

    /// Returns what the path of one check says of it.
    pub fn finding(&self, asked: Probe, entry: &Entry) -> Finding {
        let look = self.look(asked, entry.scope());
        let exhausted = || self.exhausted(&look).filter(|_| asked == Probe::Liveness && entry.check.required);
        match look.facts(entry, |facts| facts.finding(asked)) {
            passing @ (Finding::Ok | Finding::Waits) => exhausted().map_or(passing, Finding::Failed),
            failing => failing,
        }
    }

    /// Reasons that belong to no check of the probe itself.
    fn built_in(&self, asked: Probe, look: &Look<'_>) -> impl Iterator<Item = (&'static str, Why)> {
        let is_asked_for_traffic = asked == Probe::Readiness;
        let drained = || lock(&self.drained).0;
        let drained = is_asked_for_traffic.then(drained).flatten();
        let drain = drained.map(|since| Why::Draining(TimeOfDay::at(since)));
        let shutdown = (is_asked_for_traffic && self.is_shutting_down()).then_some(Why::ShuttingDown);
        let startup = match asked {
            Probe::Liveness => self.exhausted(look),
            Probe::Readiness => self.startup_reason(look, |facts| facts.finding(Probe::Startup)),
            Probe::Startup => None,
        };
        [("drain", drain), ("shutdown", shutdown), ("startup", startup)]
            .into_iter()
            .filter_map(|(name, why)| Some((name, why?)))
    }

    fn exhausted(&self, look: &Look<'_>) -> Option<Why> {
        self.startup_reason(look, |facts| {
            if facts.is_exhausted() { facts.finding(Probe::Startup) } else { Finding::Ok }
        })
    }

    /// Returns the required startup checks for which `finding` is a failure, with their reasons.
    fn startup_reason(&self, look: &Look<'_>, finding: impl Fn(Facts<'_>) -> Finding) -> Option<Why> {
        let is_startup = |entry: &&Entry| entry.check.probe == Probe::Startup && entry.check.required;
        let startup = self.entries.iter().filter(|entry| look.scope.includes(entry)).filter(is_startup);
        let failed = |(name, finding)| match finding {
            Finding::Failed(why) => Some((name, why)),
            _ => None,
        };
        let failing: Vec<_> = lines(startup, look, finding).into_iter().filter_map(failed).collect();
        (!failing.is_empty()).then_some(Why::Several(failing))
    }
}

/// Returns a line for each check and for each group of checks, with its name.
fn lines<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    look: &Look<'_>,
    finding: impl Fn(Facts<'_>) -> Finding,
) -> Vec<(String, Finding)> {
    let (mut lines, mut groups) = (Vec::new(), Vec::<(&str, Vec<(String, Finding)>)>::new());
    for entry in entries {
        let line = (entry.check.name.clone(), look.facts(entry, &finding));
        match entry.check.any_of.as_deref() {
            None => lines.push(line),
            Some(group) => match groups.iter_mut().find(|(name, _)| *name == group) {
                Some((_, members)) => members.push(line),
                None => groups.push((group, vec![line])),
            },
        }
    }
    lines.extend(groups.into_iter().map(|(name, members)| (name.to_owned(), of_group(members))));
    lines
}
