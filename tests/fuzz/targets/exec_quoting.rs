//! Any words: a command is shown as it could be typed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|words: &str| {
    let Ok(config) = health_proxy_fuzz::read(&[("READINESS_A", &format!("exec:{words}"))]) else { return };
    let shown = config.checks[0].0.target.clone();
    let again = health_proxy_fuzz::read(&[("READINESS_A", &shown)]).expect("what is shown can be typed");
    assert_eq!(again.checks[0].0.target, shown);
});
