//! Answers in the format of kube-apiserver's health paths (`apiserver/pkg/server/healthz/healthz.go`).

use std::fmt::Write;

use crate::probe::Probe;
use crate::verdict::{Finding, Verdict, Why};

/// The text in the place of a reason that is not told.
pub(super) const WITHHELD: &str = "reason withheld";

/// Returns the text of a verdict; one that fails is always verbose.
pub(super) fn text(probe: Probe, verdict: &Verdict, verbose: bool, details: bool) -> String {
    let passes = verdict.passes();
    if passes && !verbose {
        return "ok".to_owned();
    }
    let mut text = String::new();
    let told = |why: &Why| if details { why.to_string() } else { WITHHELD.to_owned() };
    for (name, finding) in &verdict.findings {
        let line = match finding {
            Finding::Ok => format!("[+]{name} ok"),
            Finding::AnyOf { passing, count } => {
                format!("[+]{name} ok ({} of {count}: {})", passing.len(), passing.join(", "))
            }
            Finding::Waits => format!("[+]{name} ok (waits for startup)"),
            Finding::Excluded => format!("[+]{name} excluded: ok"),
            Finding::NotRequired(why) => {
                format!("[+]{name} ok (not required, failing: {})", told(why))
            }
            Finding::Failed(why) => format!("[-]{name} failed: {}", told(why)),
        };
        let _ = writeln!(text, "{line}");
    }
    if !verdict.unknown.is_empty() {
        let names: Vec<_> = verdict.unknown.iter().map(|name| format!("{name:?}")).collect();
        let _ =
            writeln!(text, "warn: some health checks cannot be excluded: no matches for {}", names.join(","));
    }
    let _ = writeln!(text, "{} check {}", probe.path(), if passes { "passed" } else { "failed" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(findings: &[(&str, Finding)]) -> Verdict {
        let findings = findings.iter().map(|(name, finding)| ((*name).to_owned(), finding.clone()));
        Verdict { findings: findings.collect(), unknown: Vec::new() }
    }

    #[test]
    fn a_failing_answer_is_always_verbose() {
        let failing = Finding::Failed(Why::Failed("connection refused".into()));
        let verdict = verdict(&[("db", failing), ("web", Finding::Ok)]);
        let expected = "[-]db failed: connection refused\n[+]web ok\nreadyz check failed\n";
        assert_eq!(text(Probe::Readiness, &verdict, false, true), expected);
    }

    #[test]
    fn a_passing_answer_is_short_unless_asked() {
        let verdict = verdict(&[("web", Finding::Ok)]);
        assert_eq!(text(Probe::Liveness, &verdict, false, true), "ok");
        assert_eq!(text(Probe::Liveness, &verdict, true, true), "[+]web ok\nlivez check passed\n");
    }

    #[test]
    fn exclusions_and_optional_checks_are_named() {
        let mut verdict = verdict(&[
            ("a", Finding::Excluded),
            ("b", Finding::NotRequired(Why::Failed("connection refused".into()))),
            ("c", Finding::Waits),
            ("d", Finding::AnyOf { passing: vec!["x".to_owned()], count: 2 }),
        ]);
        verdict.unknown = vec!["x".to_owned(), "y\"\n".to_owned()];
        let expected = "[+]a excluded: ok\n\
                        [+]b ok (not required, failing: connection refused)\n\
                        [+]c ok (waits for startup)\n\
                        [+]d ok (1 of 2: x)\n\
                        warn: some health checks cannot be excluded: no matches for \"x\",\"y\\\"\\n\"\n\
                        startupz check passed\n";
        assert_eq!(text(Probe::Startup, &verdict, true, true), expected);
    }

    #[test]
    fn reasons_can_be_withheld() {
        let verdict = verdict(&[
            ("a", Finding::Failed(Why::Failed("secret".into()))),
            ("b", Finding::NotRequired(Why::Failed("secret".into()))),
        ]);
        let expected = "[-]a failed: reason withheld\n\
                        [+]b ok (not required, failing: reason withheld)\n\
                        readyz check failed\n";
        assert_eq!(text(Probe::Readiness, &verdict, true, false), expected);
    }
}
