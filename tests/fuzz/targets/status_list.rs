//! Any list as the accepted statuses of http and grpc.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|list: &str| {
    for target in ["http://:80", "grpc://:80"] {
        let _ = health_proxy_fuzz::read(&[("READINESS_A", target), ("READINESS_A_STATUS", list)]);
    }
});
