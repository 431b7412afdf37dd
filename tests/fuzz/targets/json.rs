//! Any text as conditions, before an empty line, and as the JSON that they are about.
#![no_main]

use std::cell::RefCell;

use health_proxy_fuzz::Peer;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static PEER: RefCell<Peer> = RefCell::new(Peer::new("http", &[]));
}

fuzz_target!(|text: &str| {
    let Some((conditions, document)) = text.split_once("\n\n") else { return };
    PEER.with_borrow_mut(|peer| {
        if !conditions.contains('\0') && peer.ask_with(&[("READINESS_A_BODY_JSON", conditions)]) {
            peer.say(format!("HTTP/1.1 200 OK\r\n\r\n{document}").as_bytes());
        }
    });
});
