//! `kubia-err400` is sick for four requests in every ten. Natively the kubelet kills it at the third failure; here it has
//! to be sure that it is not the sidecar that fails, and so the failure stands long enough.

use crate::manifest::Manifest;
use crate::pod::Pod;

const PERIODS: std::ops::RangeInclusive<u64> = 1..=9;

#[test]
fn an_app_is_restarted_in_every_burst_whatever_the_period() {
    let name = |period: u64| format!("every-{period}");
    let port = |period: u64| (8080 + period).to_string();
    let mut checks = Vec::new();
    for period in PERIODS {
        let check = format!("LIVENESS_EVERY_{period}");
        checks.push((check.clone(), format!("http://:{}/", port(period))));
        checks.push((format!("{check}_CONTAINER"), name(period)));
        checks.push((format!("{check}_PERIOD_SECONDS"), period.to_string()));
    }
    let checks: Vec<_> = checks.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let apps: Vec<_> = PERIODS.map(|period| (name(period), port(period))).collect();
    let calls: Vec<_> = apps.iter().map(|(_, port)| ["--err400", port]).collect();
    let apps: Vec<_> =
        apps.iter().zip(&calls).map(|((name, _), call)| (name.as_str(), call.as_slice())).collect();
    let manifest = Manifest::example("kubia-err400").with_checks(&checks).with_apps(&apps);

    let pod = Pod::start("bursts", &manifest);
    pod.wait_for("the pod is ready", 60, Pod::ready);
    for period in PERIODS {
        // The third failure is the ninth request, and the kubelet's side needs up to 20 s more.
        let limit = if period == 1 { 9 + 20 + 15 } else { 9 + 10 };
        pod.wait_for(&format!("a restart every {period} s"), limit, |pod| pod.restarts(&name(period)) >= 1);
    }
    for period in 1..=3 {
        pod.wait_for(&format!("another one every {period} s"), 50, |pod| pod.restarts(&name(period)) >= 2);
    }
    for period in PERIODS {
        let lives = 0..=pod.restarts(&name(period));
        let answers: Vec<_> = lives.flat_map(|life| pod.liveness_in(&name(period), life)).collect();
        let mut failures = answers.iter().filter(|one| !one.outcome.passed).peekable();
        assert!(failures.peek().is_some(), "{}", pod.story());
        let sick = failures.all(|one| one.outcome.body.contains("statuscode: 400"));
        assert!(sick, "each was restarted because it was sick:\n{}", pod.story());
    }
    assert_eq!(pod.restarts("health-proxy"), 0);
}
