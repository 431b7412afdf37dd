//! `tcp://` with something to say.

use std::io::{Read, Write};

use crate::app::{App, close};
use crate::sidecar::{Sidecar, eventually};

/// Starts a server that answers a line `PING` with `+PONG`, and anything else with silence.
fn redis_like() -> App {
    App::start(|_, head, stream| {
        if head.starts_with("PING\r\n\r\n") {
            let _ = stream.write_all(b"+PONG\r\n");
        }
        let _ = stream.read(&mut [0]);
    })
}

fn verdict(app: &App, send: &str, expect: &str) -> String {
    let sidecar = Sidecar::start(&[
        ("READINESS_CACHE", &format!("tcp://{}", app.address)),
        ("READINESS_CACHE_SEND", send),
        ("READINESS_CACHE_EXPECT", expect),
        ("READINESS_CACHE_FAILURE_THRESHOLD", "1"),
        ("READINESS_CACHE_TIMEOUT_SECONDS", "0.5"),
    ]);
    eventually("a verdict", || {
        let answer = sidecar.get("/readyz/cache").body;
        (answer != "no result yet\n").then(|| answer.trim_end().to_owned())
    })
}

#[test]
fn a_dialogue_has_to_come_out_as_expected() {
    assert_eq!(verdict(&redis_like(), r"PING\r\n\r\n", r"^\+PONG"), "ok");
    let reason = verdict(&redis_like(), r"PING\r\n\r\n", "NOPE");
    assert_eq!(reason, r#"answered "+PONG\r\n", which does not match /NOPE/, and no more within 500ms"#);
}

/// What a server sees that has more to say than is looked at.
#[test]
fn a_long_answer_is_taken_to_its_end_and_never_reset() {
    let (sender, seen) = std::sync::mpsc::channel();
    let app = App::start(move |_, _, stream| {
        let answer = [b"+READY\r\n".as_slice(), &[b'x'; 16 * 1024]].concat();
        let _ = sender.send(stream.write_all(&answer).and_then(|()| stream.read(&mut [0; 16])));
    });
    assert_eq!(verdict(&app, r"PING\r\n\r\n", r"^\+READY"), "ok");
    assert_eq!(seen.recv().unwrap().unwrap(), 0, "an end, and no reset");
}

#[test]
fn bytes_are_expected_as_they_are() {
    let app = App::start(|_, _, stream| {
        let _ = stream.write_all(b"\x84\x00\x00\x02");
        close(stream);
    });
    assert_eq!(verdict(&app, r"\x04\x00\x00\x00\x05\r\n\r\n", r"^\x84\x00"), "ok");
}

#[test]
fn a_peer_that_hangs_up_is_named() {
    let app = App::start(|_, _, stream| {
        let _ = stream.write_all(b"-ERR\r\n");
        close(stream);
    });
    let reason = verdict(&app, r"PING\r\n\r\n", r"\+PONG");
    assert_eq!(reason, r#"answered "-ERR\r\n", which does not match /\+PONG/, and closed the connection"#);
}
