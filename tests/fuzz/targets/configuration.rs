//! Any variables: a configuration or errors, never a panic, and each error names a variable.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let variables: Vec<_> = text.lines().filter_map(|line| line.split_once('=')).collect();
    if let Err(errors) = health_proxy_fuzz::read(&variables) {
        assert!(!errors.to_string().is_empty());
    }
});
