//! `health-proxy get status`: the document of `/status` for a terminal, the verdicts with their reasons first.

use std::fmt::Write;
use std::io::{IsTerminal, stdout};

use crate::outcome::one_line;
use crate::probe::Probe;
use crate::server::document::{CheckPart, Document, IncarnationPart, ProbePart, StreakPart};
use crate::table::{self, span};

/// The number of the last runs that a line shows.
const MAX_SHOWN_RUNS: usize = 20;

/// The part of a reason that a line shows, in characters; the verdicts tell it whole.
const MAX_SHOWN_REASON_CHARS: usize = 60;

/// The explanation of the columns that need one.
const LEGEND: &str = "\nLAST RUNS: . success, F failure, T timeout, the newest last. STREAK: equal results in a row / how many decide.\n";

/// The colours of an unhealthy and of a healthy probe or check.
const RED: &str = "\x1b[1;31m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// Returns whether to use colour: on a terminal, unless it or the user wants none (<https://no-color.org>).
pub(super) fn is_colour_wanted() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stdout().is_terminal()
        && !is_set("NO_COLOR")
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Returns the whole text. No control character of the document gets into it.
pub(super) fn text(document: &Document, has_colour: bool) -> String {
    let mut text = String::new();
    for probe in &document.probes {
        verdict(&mut text, document, probe, has_colour);
    }
    let _ = writeln!(text, "\n{}\n", incarnation(document));
    let mut checks: Vec<_> = document.checks.iter().collect();
    checks.sort_by_cached_key(|check| (!fails(check), place(&check.probe), table::natural(&check.name)));
    let header =
        ["PROBE", "CHECK", "STATE", "FOR", "STREAK", "LAST RUNS", "TOOK", "NEXT", "TARGET", "REASON"];
    let rows = checks.iter().map(|check| row(check, document.now));
    let table = table::text(std::iter::once(header.map(str::to_owned)).chain(rows));
    let mut lines = table.lines();
    let _ = writeln!(text, "{}", lines.next().unwrap_or_default());
    for (line, check) in lines.zip(checks) {
        let line = if fails(check) { coloured(RED, line, has_colour) } else { line.to_owned() };
        let _ = writeln!(text, "{line}");
    }
    text.push_str(LEGEND);
    text
}

fn place(probe: &str) -> Option<usize> {
    Probe::ALL.iter().position(|other| other.as_str() == probe)
}

/// Writes `NOT READY for 3m 12s`, and a line for each reason.
fn verdict(text: &mut String, document: &Document, probe: &ProbePart, has_colour: bool) {
    let word = match (&*probe.probe, probe.passes) {
        ("liveness", true) => "LIVE",
        ("liveness", false) => "NOT LIVE",
        ("readiness", true) => "READY",
        ("readiness", false) => "NOT READY",
        ("startup", true) => "STARTED",
        ("startup", false) => "NOT STARTED",
        (other, _) => &one_line(other),
    };
    let word = coloured(if probe.passes { GREEN } else { RED }, word, has_colour);
    let since = probe.since.map(|since| format!(" for {}", span(document.now - since))).unwrap_or_default();
    let _ = writeln!(text, "{word}{since}");
    for reason in &probe.reasons {
        let _ = writeln!(text, "  {}: {}", one_line(&reason.check), one_line(&reason.reason));
        said(text, document, &probe.probe, &reason.check);
    }
}

/// Writes the app's words to a check that fails.
fn said(text: &mut String, document: &Document, probe: &str, name: &str) {
    let mut checks = document.checks.iter();
    let check = checks.find(|check| check.probe == probe && check.name == name);
    let failure = check.and_then(|check| check.last_failure.as_ref());
    for line in failure.and_then(|run| run.said.as_deref()).unwrap_or_default().lines() {
        let _ = writeln!(text, "    | {}", one_line(line));
    }
}

fn incarnation(document: &Document) -> String {
    let incarnation = &document.incarnation;
    let sidecar = if document.healthy { "" } else { " is stale" };
    let mut text = format!(
        "{}, {}; health-proxy {}{sidecar}",
        one_line(&document.host),
        life(incarnation, document.now),
        one_line(&document.version),
    );
    for container in &document.containers {
        let _ =
            write!(text, "\n  {}: {}", one_line(&container.name), life(&container.incarnation, document.now));
    }
    text
}

fn life(incarnation: &IncarnationPart, now: f64) -> String {
    let startup = match incarnation.startup_seconds {
        Some(seconds) => format!("startup took {}", span(seconds)),
        None => "startup has not passed".to_owned(),
    };
    format!("incarnation {}, began {} ago, {startup}", incarnation.number, span(now - incarnation.began))
}

fn row(check: &CheckPart, now: f64) -> [String; 10] {
    let optional = if check.required { "" } else { " (not required)" };
    let warning = check.last.as_ref().and_then(|last| last.text.clone());
    let reason = check.reason.clone().or(warning).unwrap_or_default();
    let name = match &check.container {
        Some(container) => format!("{} ({container})", check.name),
        None => check.name.clone(),
    };
    [
        check.probe.clone(),
        name,
        format!("{}{optional}", if check.stale_seconds.is_some() { "stale" } else { &check.state }),
        span(now - check.since),
        streak(&check.streak),
        runs(&check.runs.results),
        check.last.as_ref().map(|last| span(last.seconds)).unwrap_or_default(),
        next(check, now),
        check.target.clone(),
        cut(&reason),
    ]
}

/// Returns whether somebody should look at it.
fn fails(check: &CheckPart) -> bool {
    check.required && (check.stale_seconds.is_some() || (check.reason.is_some() && check.last.is_some()))
}

/// Returns how many equal results came last, against how many decide.
fn streak(streak: &StreakPart) -> String {
    let results = if streak.passing { "successes" } else { "failures" };
    if streak.count == 0 {
        "-".to_owned()
    } else {
        format!("{}/{} {results}", streak.count, streak.threshold)
    }
}

/// Returns the last runs, the newest last: `.` success, `F` failure, `T` timeout.
fn runs(results: &str) -> String {
    let skipped = results.len().saturating_sub(MAX_SHOWN_RUNS);
    let sign = |letter| match letter {
        's' => '.',
        'f' => 'F',
        't' => 'T',
        _ => '?',
    };
    results.chars().skip(skipped).map(sign).collect()
}

fn next(check: &CheckPart, now: f64) -> String {
    match check.next_run {
        Some(at) if check.phase == "scheduled" => span(at - now),
        _ => check.phase.clone(),
    }
}

fn cut(reason: &str) -> String {
    match reason.char_indices().nth(MAX_SHOWN_REASON_CHARS) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

fn coloured(colour: &str, text: &str, has_colour: bool) -> String {
    if has_colour { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests;
