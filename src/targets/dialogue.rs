//! `tcp://`, `tls://` and `unix:`: a connection opens, and the peer answers as expected where that is asked.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use super::dial::{Dial, Tls};
use super::pattern::Pattern;
use super::reason::io_reason;
use super::source::Source;
use super::stage::quoted;
use super::{Attempt, MAX_SAID_BYTES, Stage};
use crate::blocking::Place;
use crate::grammar::path::Path;
use crate::grammar::remote::Remote;
use crate::grammar::url::Scheme;
use crate::grammar::{OptionReader, options};
use crate::outcome::Outcome;

/// The part of an answer that is looked at, in bytes.
const MAX_ANSWER_BYTES: usize = 10 * 1024;

/// The time to gather more of an answer that does not match yet, for each of its bytes.
const PAUSE_PER_BYTE: Duration = Duration::from_micros(1);

/// The words over a fresh connection, and the answer that has to come back (kubelet: `pkg/probe/tcp/tcp.go`).
#[derive(Debug)]
pub struct Dialogue {
    dial: Dial,
    script: Script,
}

impl Dialogue {
    /// Takes the options of a dialogue, and of TLS for [`Scheme::Https`].
    pub fn tcp(remote: &Remote, reader: &mut OptionReader) -> Self {
        let tls = (remote.scheme == Scheme::Https).then(|| Tls::parse(reader, &[]));
        Self { script: Script::parse(reader), dial: Dial::new(remote, tls, reader) }
    }

    /// Takes the options of a dialogue and of a place.
    pub fn unix(path: &Path, reader: &mut OptionReader) -> Self {
        Self { script: Script::parse(reader), dial: Dial::socket(path, reader) }
    }
}

impl Dialogue {
    async fn hold(&self, stage: &Stage<'_>) -> Result<(), String> {
        let mut stream = self.dial.open(stage).await?;
        let result = self.script.play(&mut stream, self.dial.place(), stage).await;
        if self.dial.is_tls() || !self.script.is_silent() {
            stream.leave();
        }
        result
    }
}

impl Attempt for Dialogue {
    async fn attempt(&self, stage: &Stage<'_>) -> Outcome {
        self.hold(stage).await.map_or_else(Outcome::failure, |()| Outcome::Success)
    }

    /// Judges what was heard: a wrong answer is no silence, since it was waited for whether more comes.
    fn timed_out(&self, stage: &Stage<'_>, timeout: Duration) -> Outcome {
        if let (Some(said), Some(expect)) = (stage.said(), &self.script.expect) {
            let said = quoted(&said);
            return Outcome::failure(format!(
                "answered {said}, which does not match {expect}, and no more within {timeout:?}"
            ));
        }
        Outcome::timeout(
            stage
                .unconnected(timeout)
                .unwrap_or_else(|| format!("timeout: connected, but no answer within {timeout:?}")),
        )
    }

    fn dial(&self) -> Option<&Dial> {
        Some(&self.dial)
    }
}

/// The bytes that are sent and the answer that is waited for.
#[derive(Debug)]
struct Script {
    send: Option<Source<Vec<u8>>>,
    expect: Option<Pattern>,
}

impl Script {
    /// Takes `_SEND` and `_EXPECT`.
    fn parse(reader: &mut OptionReader) -> Self {
        let send = reader.take_bytes(options::SEND, |text| unescaped(text.as_bytes()));
        if let Some(send) = &send {
            reader.confide(send);
        }
        Self {
            send: Source::take(send, options::SEND_FILE, unescaped, reader),
            expect: reader.take(options::EXPECT, Pattern::read_bytes),
        }
    }

    /// Returns whether a connection is all that is asked for.
    const fn is_silent(&self) -> bool {
        self.send.is_none() && self.expect.is_none()
    }

    /// Sends and waits as configured; with nothing configured an open connection is enough.
    async fn play(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        place: &Place,
        stage: &Stage<'_>,
    ) -> Result<(), String> {
        if let Some(send) = &self.send {
            let bytes = send.get(place).await?;
            if let Cow::Owned(fresh) = &bytes {
                stage.confide(fresh);
            }
            // TLS may hold back the end of a long text.
            let sent = async {
                stream.write_all(&bytes).await?;
                stream.flush().await
            };
            sent.await.map_err(|error| format!("sending failed: {}", io_reason(&error)))?;
        }
        let Some(expect) = &self.expect else { return Ok(()) };
        let mut answer = Vec::new();
        while !expect.is_match(&Bytes::copy_from_slice(&answer), place).await? {
            if !answer.is_empty() && answer.len() <= MAX_SAID_BYTES {
                stage.hear(&answer);
            }
            // A peer that sends byte by byte must not have the whole answer searched for each of them.
            sleep(PAUSE_PER_BYTE * u32::try_from(answer.len()).unwrap_or(u32::MAX)).await;
            let room = MAX_ANSWER_BYTES - answer.len();
            let read = (&mut *stream).take(room as u64).read_buf(&mut answer).await;
            if read.map_err(|error| format!("reading failed: {}", io_reason(&error)))? == 0 {
                return Err(mismatch(&answer, expect, stage));
            }
        }
        Ok(())
    }
}

/// Says how an answer ended that never matched.
fn mismatch(answer: &[u8], expect: &Pattern, stage: &Stage<'_>) -> String {
    let said = quoted(&stage.hear(answer));
    match answer.len() {
        0 => "the peer closed the connection without an answer".to_owned(),
        MAX_ANSWER_BYTES.. => {
            format!("answered {said}: its first {MAX_ANSWER_BYTES} bytes do not match {expect}")
        }
        _ => format!("answered {said}, which does not match {expect}, and closed the connection"),
    }
}

/// Bytes with the escapes `\r \n \t \\ \xHH`.
fn unescaped(text: &[u8]) -> Result<Vec<u8>, String> {
    let accepted = || r"accepted: text with the escapes \r \n \t \\ \xHH".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match (byte, byte == b'\\') {
            (plain, false) => plain,
            _ => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(b'\\') => b'\\',
                Some(b'x') => {
                    let mut digit = || rest.next().and_then(|d| char::from(d).to_digit(16));
                    let value = digit().zip(digit()).map(|(high, low)| high * 16 + low);
                    value.and_then(|v| u8::try_from(v).ok()).ok_or_else(accepted)?
                }
                _ => return Err(accepted()),
            },
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::Secrets;

    fn script(send: &str, expect: &str) -> Script {
        Script {
            send: Some(Source::Value(unescaped(send.as_bytes()).unwrap())),
            expect: Some(Pattern::read_bytes(expect).unwrap()),
        }
    }

    #[test]
    fn escapes() {
        let expected = [b"PING\r\n\t\\\x00\xff ", "ü".as_bytes()].concat();
        assert_eq!(unescaped(r"PING\r\n\t\\\x00\xFf ü".as_bytes()).unwrap(), expected);
        for wrong in [r"\", r"\q", r"\x", r"\x1", r"\xg0"] {
            assert!(unescaped(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    /// Returns what comes of a dialogue with a peer that says `pieces`.
    async fn played(send: &str, expect: &str, pieces: &[&[u8]]) -> Result<(), String> {
        script(send, expect)
            .play(&mut peer(pieces), &Place::default(), &Stage::new(&Secrets::default()))
            .await
    }

    #[tokio::test]
    async fn an_answer_may_come_in_pieces() {
        assert_eq!(played(r"PING\r\n", r"\+PONG", &[b"+PO", b"NG\r\n"]).await, Ok(()));
    }

    #[tokio::test]
    async fn an_answer_that_never_matches_is_told() {
        let reason = played("", r"\+PONG", &[b"-NOAUTH\r\n"]).await.unwrap_err();
        assert_eq!(
            reason,
            r#"answered "-NOAUTH\r\n", which does not match /\+PONG/, and closed the connection"#
        );
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut() {
        let reason = played("", "y", &[&vec![b'x'; 64 * 1024]]).await.unwrap_err();
        let begins = format!("answered \"{}…\"", "x".repeat(80));
        assert_eq!(reason, format!("{begins}: its first 10240 bytes do not match /y/"));
    }

    /// Returns a peer that says `pieces` one by one, whatever it hears, and closes.
    fn peer(pieces: &[&[u8]]) -> tokio::io::DuplexStream {
        let (near, mut far) = tokio::io::duplex(1024);
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        tokio::spawn(async move {
            for piece in pieces {
                if far.write_all(&piece).await.is_err() {
                    return;
                }
            }
        });
        near
    }
}
