//! Any value as a target: what is accepted shows no password, and is accepted again as it is shown.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &str| {
    let Ok(config) = health_proxy_fuzz::read(&[("READINESS_A", value)]) else { return };
    let shown = config.checks[0].0.target.clone();
    if !shown.contains("***@") {
        let again = health_proxy_fuzz::read(&[("READINESS_A", &shown)]).expect("what is shown can be typed");
        assert_eq!(again.checks[0].0.target, shown);
    }
});
