//! The changes between two looks at `/status`, as lines of the timeline: pure, no I/O, no clock.

use crate::outcome::one_line;
use crate::probe::Probe;
use crate::server::document::{CheckPart, Document, StreakPart};

/// The actor of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Actor {
    Kubelet,
    Sidecar,
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Starts,
    Kills,
    Passes,
    /// Not yet at its threshold.
    Warns,
    Fails,
    /// A probe's path answers otherwise.
    Turns,
    /// A new incarnation.
    Renews,
}

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) actor: Actor,
    pub(super) mark: Mark,
    pub(super) text: String,
}

/// The probes in the order in which they matter to an app that starts.
const ORDER: [Probe; 3] = [Probe::Startup, Probe::Liveness, Probe::Readiness];

/// Returns the lines from one look to the next; nothing is told of a first look but its failures.
pub(super) fn changes(before: Option<&Document>, after: &Document) -> Vec<Line> {
    let number = after.incarnation.number;
    let of_same_life = before.filter(|before| before.incarnation.number == number);
    let mut lines = Vec::new();
    if before.is_some() && of_same_life.is_none() {
        lines.push(line(Mark::Renews, format!("incarnation {number}: every state and count begins anew")));
    }
    for probe in ORDER {
        for check in after.checks.iter().filter(|check| check.probe == probe.as_str()) {
            let same = |other: &&CheckPart| other.probe == check.probe && other.name == check.name;
            let known = of_same_life.and_then(|before| before.checks.iter().find(same));
            lines.extend(runs(known.map(|known| &known.streak), check));
        }
    }
    lines.extend(before.and_then(|before| verdicts(before, after)));
    lines
}

/// Returns a line for each failing run up to the threshold, and for the first one that passes.
fn runs(known: Option<&StreakPart>, check: &CheckPart) -> Vec<Line> {
    let StreakPart { passing, count, threshold } = check.streak;
    let CheckPart { probe, name, .. } = check;
    let seen = known.filter(|known| known.passing == passing).map_or(0, |known| known.count);
    if passing {
        let is_news = seen == 0 && count > 0;
        return is_news.then(|| line(Mark::Passes, format!("{probe} {name} passes"))).into_iter().collect();
    }
    let text = check.last.as_ref().and_then(|run| run.text.as_deref());
    let reason = one_line(text.unwrap_or_default());
    let told = |count| {
        let mark = if count < threshold { Mark::Warns } else { Mark::Fails };
        line(mark, format!("{probe} {name} {count}/{threshold}: {reason}"))
    };
    (seen + 1..=count.min(threshold)).map(told).collect()
}

/// Tells which paths answer otherwise: `/livez 200 → 503`.
fn verdicts(before: &Document, after: &Document) -> Option<Line> {
    let turned = |probe: Probe| {
        let (was, is) = (passes(before, probe), passes(after, probe));
        (was != is).then(|| format!("/{} {} → {}", probe.path(), code(was), code(is)))
    };
    let turned: Vec<_> = ORDER.into_iter().filter_map(turned).collect();
    (!turned.is_empty()).then(|| line(Mark::Turns, turned.join(", ")))
}

/// Returns whether a probe passes.
pub(super) fn passes(document: &Document, probe: Probe) -> bool {
    document.probes.iter().any(|part| part.probe == probe.as_str() && part.passes)
}

/// Returns the status that a path answers with.
pub(super) const fn code(passes: bool) -> u16 {
    if passes { 200 } else { 503 }
}

fn line(mark: Mark, text: String) -> Line {
    Line { actor: Actor::Sidecar, mark, text }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document(incarnation: u64, livez: bool, passing: bool, count: u32) -> Document {
        let last = json!({"began": 0.0, "seconds": 0.0, "result": "", "text": (!passing).then_some("ill")});
        let last = if count == 0 { Value::Null } else { last };
        let document = json!({
            "version": "", "host": "", "now": 0.0, "healthy": true, "details": true,
            "incarnation": {"number": incarnation, "began": 0.0, "startup_seconds": null},
            "probes": [{"probe": "liveness", "passes": livez, "since": null, "reasons": []}],
            "checks": [{
                "probe": "liveness", "name": "kubia", "target": "", "required": true, "state": "", "since": 0.0,
                "phase": "", "stale_seconds": null, "reason": null, "streak": {"passing": passing, "count": count, "threshold": 3}, "last": last,
                "last_failure": null, "next_run": null, "runs": {"began": [], "seconds": [], "results": ""},
                "timing": {
                    "initial_delay_seconds": 0.0, "period_seconds": 1.0, "unhealthy_period_seconds": 1.0,
                    "timeout_seconds": 1.0, "success_threshold": 1, "failure_threshold": 3,
                },
            }],
        });
        serde_json::from_value(document).unwrap()
    }

    fn told(before: &Document, after: &Document) -> Vec<String> {
        changes(Some(before), after).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_streak_is_told_up_to_its_threshold_also_when_a_look_came_late() {
        let looks = [(true, 5), (false, 1), (false, 1), (false, 3), (false, 4), (true, 1), (true, 2)];
        let looks = looks.map(|(passing, count)| document(1, passing || count < 3, passing, count));
        let lines: Vec<_> = looks.windows(2).map(|pair| told(&pair[0], &pair[1])).collect();
        let expected: [&[&str]; 6] = [
            &["liveness kubia 1/3: ill"],
            &[],
            &["liveness kubia 2/3: ill", "liveness kubia 3/3: ill", "/livez 200 → 503"],
            &[],
            &["liveness kubia passes", "/livez 503 → 200"],
            &[],
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_new_incarnation_begins_a_new_streak() {
        let expected =
            ["incarnation 2: every state and count begins anew", "liveness kubia passes", "/livez 503 → 200"];
        assert_eq!(told(&document(1, false, false, 3), &document(2, true, true, 1)), expected);
        assert_eq!(told(&document(1, true, true, 3), &document(2, true, false, 0)), expected[..1]);
    }

    #[test]
    fn the_mark_tells_whether_the_threshold_is_reached() {
        let marks: Vec<_> =
            changes(None, &document(1, false, false, 3)).iter().map(|line| line.mark).collect();
        assert_eq!(marks, [Mark::Warns, Mark::Warns, Mark::Fails]);
    }
}
