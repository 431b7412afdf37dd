//! Any bytes as the answer to an http check.
#![no_main]

use health_proxy_fuzz::Peer;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static PEER: Peer = Peer::new("http", &[("READINESS_A_BODY_MATCHES", "^o+k$")]);
}

fuzz_target!(|bytes: &[u8]| PEER.with(|peer| peer.say(bytes)));
