//! Every question that the kubelet has asked and what came of it: scenarios look at the whole sequence and not at its
//! end.

use std::fmt::Write;
use std::time::Duration;

use crate::prober::Kind;

/// One run of a probe.
#[derive(Clone, Debug)]
pub struct Answer {
    pub container: String,
    pub kind: Kind,
    /// Which life of the container was asked about, from 0.
    pub attempt: u32,
    /// Since the pod was given to the kubelet.
    pub asked: Duration,
    pub answered: Duration,
    pub outcome: Outcome,
}

/// The outcome of a probe.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub passed: bool,
    /// What the sidecar answered; `None` where nobody did, and for a command.
    pub status: Option<u16>,
    /// What the kubelet puts into the event of a failure.
    pub reason: String,
    pub body: String,
}

impl Outcome {
    /// Returns the outcome of a question that is not answered by a status and a body, or not at all.
    pub fn without_status(passed: Result<(), String>) -> Self {
        Self {
            passed: passed.is_ok(),
            status: None,
            reason: passed.err().unwrap_or_default(),
            body: String::new(),
        }
    }
}

/// Tells a sequence of answers in few words: `503 x3, 200 x9`.
pub fn sequence<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> String {
    let mut runs: Vec<(String, usize)> = Vec::new();
    for answer in answers {
        let word = match (answer.outcome.status, answer.outcome.passed) {
            (Some(status), _) => status.to_string(),
            (None, true) => "passed".to_owned(),
            (None, false) => "nobody".to_owned(),
        };
        match runs.last_mut() {
            Some((last, count)) if *last == word => *count += 1,
            _ => runs.push((word, 1)),
        }
    }
    let words: Vec<_> = runs.iter().map(|(word, count)| format!("{word} x{count}")).collect();
    words.join(", ")
}

/// Lists the answers where they change, one a line, with the body of those that are new.
pub fn changes(answers: &[Answer]) -> String {
    let mut told = String::new();
    for (index, answer) in answers.iter().enumerate() {
        let same = |other: &&Answer| {
            (&other.container, other.kind, other.attempt) == (&answer.container, answer.kind, answer.attempt)
        };
        let before = answers[..index].iter().rev().find(same);
        if before.is_some_and(|before| before.outcome.status == answer.outcome.status) {
            continue;
        }
        let (at, name, outcome) = (answer.answered.as_secs_f32(), &answer.container, &answer.outcome);
        let said = if outcome.passed { "passed" } else { outcome.reason.as_str() };
        let body = outcome.body.trim().replace('\n', " | ");
        writeln!(told, "{at:7.2} {name}.{} {:?} {said} {body}", answer.attempt, answer.kind)
            .expect("a string");
    }
    told
}
