//! Any bytes as the first words of a database server; the first of them chooses the protocol.
#![no_main]

use health_proxy_fuzz::Peer;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static PEERS: [Peer; 3] = ["postgres", "mysql", "redis"].map(|form| Peer::new(form, &[]));
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, words)) = bytes.split_first() else { return };
    PEERS.with(|peers| peers[usize::from(*first) % peers.len()].say(words));
});
