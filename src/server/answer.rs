//! Answers in the format of kube-apiserver's health paths (`apiserver/pkg/server/healthz/healthz.go`).

use std::fmt::Write;

use crate::probe::Probe;
use crate::verdict::{Finding, Verdict};

/// What stands for a reason that is not told.
pub(super) const WITHHELD: &str = "reason withheld";

/// What a caller asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) verbose: bool,
    pub(super) excluded: Vec<String>,
}

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Self {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "verbose" => parsed.verbose = true,
                "exclude" => parsed.excluded.push(value.into_owned()),
                _ => {}
            }
        }
        parsed
    }

    /// Whether the answer `ok` is all that is wanted.
    pub(super) fn is_plain(&self) -> bool {
        !self.verbose && self.excluded.is_empty()
    }
}

/// The text of a verdict; one that fails is always verbose.
pub(super) fn text(probe: Probe, verdict: &Verdict, verbose: bool, details: bool) -> String {
    let passes = verdict.passes();
    if passes && !verbose {
        return "ok".to_owned();
    }
    let mut text = String::new();
    let told = |reason: &str| if details { reason.to_owned() } else { WITHHELD.to_owned() };
    for (name, finding) in &verdict.findings {
        let line = match finding {
            Finding::Ok => format!("[+]{name} ok"),
            Finding::Excluded => format!("[+]{name} excluded: ok"),
            Finding::NotRequired(reason) => {
                format!("[+]{name} ok (not required, failing: {})", told(reason))
            }
            Finding::Failed(reason) => format!("[-]{name} failed: {}", told(reason)),
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
        let failing = Finding::Failed("connection refused".to_owned());
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
            ("b", Finding::NotRequired("connection refused".to_owned())),
        ]);
        verdict.unknown = vec!["x".to_owned(), "y\"\n".to_owned()];
        let expected = "[+]a excluded: ok\n\
                        [+]b ok (not required, failing: connection refused)\n\
                        warn: some health checks cannot be excluded: no matches for \"x\",\"y\\\"\\n\"\n\
                        startupz check passed\n";
        assert_eq!(text(Probe::Startup, &verdict, true, true), expected);
    }

    #[test]
    fn reasons_can_be_withheld() {
        let verdict = verdict(&[
            ("a", Finding::Failed("secret".to_owned())),
            ("b", Finding::NotRequired("secret".to_owned())),
        ]);
        let expected = "[-]a failed: reason withheld\n\
                        [+]b ok (not required, failing: reason withheld)\n\
                        readyz check failed\n";
        assert_eq!(text(Probe::Readiness, &verdict, true, false), expected);
    }

    #[test]
    fn queries_as_in_the_apiserver() {
        let query = |verbose, excluded: &[&str]| Query {
            verbose,
            excluded: excluded.iter().map(|&name| name.to_owned()).collect(),
        };
        assert_eq!(Query::parse(None), query(false, &[]));
        assert_eq!(Query::parse(Some("verbose")), query(true, &[]));
        assert_eq!(Query::parse(Some("verbose=1&exclude=a&exclude=b%2Dc&x=y")), query(true, &["a", "b-c"]));
    }
}
