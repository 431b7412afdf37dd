//! `PostgreSQL`: a startup message, and whether the server goes on to the authentication
//! (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).

use super::Heard;
use crate::grammar::remote::Login;

/// The role that is named where the target names none. Nobody logs in as it.
const ROLE: &str = "postgres";

/// Version 3.0.
const VERSION: [u8; 4] = [0, 3, 0, 0];

/// The longest message that is taken, in bytes.
const MAX_MESSAGE_BYTES: usize = 8192;

/// `SQLSTATE`s of a server that has looked at the session and refuses only this one.
const REFUSES_THE_ROLE: [&str; 2] = ["28", "3D"];

/// The server goes on without a password, and waits for a query or for the end.
const READY: u8 = b'Z';

/// Returns a startup message.
pub(super) fn opening(login: Option<&Login>) -> Vec<u8> {
    let role = login.map_or(ROLE.as_bytes(), |login| &login.user);
    let mut message = vec![0; 4];
    message.extend_from_slice(&VERSION);
    for part in [b"user", role, b"database", b"postgres", b"application_name", b"health-proxy"] {
        message.extend_from_slice(part);
        message.push(0);
    }
    message.push(0);
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    message[..4].copy_from_slice(&length.to_be_bytes());
    message
}

/// Judges the first words: a server that asks for a password takes sessions; one that asks for none says when it is
/// ready.
pub(super) fn judge(mut heard: &[u8]) -> Heard {
    loop {
        let (kind, body) = match next(&mut heard)? {
            Ok(message) => message,
            Err(NotPostgres) => return Some(Err(String::new())),
        };
        match (kind, body) {
            (b'R', [0, 0, 0, 0]) => {}
            (b'R' | READY, _) => return Some(Ok(())),
            (b'E', fields) => return Some(refusal(fields)),
            // Parameters, notices, the key for cancelling, the version to speak.
            (b'S' | b'N' | b'K' | b'v', _) => {}
            _ => return Some(Err(String::new())),
        }
    }
}

/// Returns the message that ends a session, where there is one: while it waits for a password the server wants none.
pub(super) fn goodbye(heard: &[u8]) -> &'static [u8] {
    let mut rest = heard;
    while let Some(Ok((kind, _))) = next(&mut rest) {
        if kind == READY {
            return b"X\0\0\0\x04";
        }
    }
    b""
}

struct NotPostgres;

/// Takes the next message: its type and its body. `None` where it has not come whole.
fn next<'h>(heard: &mut &'h [u8]) -> Option<Result<(u8, &'h [u8]), NotPostgres>> {
    let (&kind, rest) = heard.split_first()?;
    if !kind.is_ascii_alphabetic() {
        return Some(Err(NotPostgres));
    }
    let length = rest.first_chunk::<4>().map(|length| u32::from_be_bytes(*length));
    let length = usize::try_from(length?).unwrap_or(usize::MAX);
    if !(4..=MAX_MESSAGE_BYTES).contains(&length) {
        return Some(Err(NotPostgres));
    }
    let body = rest.get(4..length)?;
    *heard = &rest[length..];
    Some(Ok((kind, body)))
}

/// Returns what an `ErrorResponse` says of the server.
fn refusal(fields: &[u8]) -> Result<(), String> {
    let field = |name: u8| {
        let mut fields = fields.split(|&byte| byte == 0);
        let value = fields.find_map(|field| field.strip_prefix(&[name]));
        value.map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    };
    let code = field(b'C');
    if REFUSES_THE_ROLE.iter().any(|class| code.starts_with(class)) {
        return Ok(());
    }
    Err(format!("{}: {} (SQLSTATE {code})", field(b'S'), field(b'M')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind], &length.to_be_bytes()[..], body].concat()
    }

    fn error(code: &str, text: &str) -> Vec<u8> {
        message(b'E', format!("SFATAL\0VFATAL\0C{code}\0M{text}\0\0").as_bytes())
    }

    #[test]
    fn a_server_that_goes_on_to_the_login_takes_sessions() {
        let trusts = [message(b'R', &[0; 4]), message(b'S', b"a\0b\0"), message(b'Z', b"I")].concat();
        let wants_a_password = message(b'R', &[0, 0, 0, 10, b'S']);
        let unknown = error("28000", "role \"postgres\" does not exist");
        for (heard, goodbye_length) in [(&trusts, 5), (&wants_a_password, 0), (&unknown, 0)] {
            for end in 0..heard.len() {
                assert_eq!(judge(&heard[..end]), None, "{end}");
            }
            assert_eq!(judge(heard), Some(Ok(())));
            assert_eq!(goodbye(heard).len(), goodbye_length);
        }
    }

    #[test]
    fn one_that_starts_or_is_full_says_so_itself() {
        let starts = judge(&error("57P03", "the database system is starting up"));
        assert_eq!(
            starts,
            Some(Err("FATAL: the database system is starting up (SQLSTATE 57P03)".to_owned()))
        );
        assert!(judge(&error("53300", "sorry, too many clients already")).unwrap().is_err());
    }

    #[test]
    fn anything_else_is_not_postgresql() {
        for heard in [
            b"HTTP/1.1 400 Bad Request".as_slice(),
            b"\0\0\0\0\0",
            b"R\0\0\0\0",
            b"R\xff\xff\xff\xff",
            b"Q\0\0\0\x04",
        ] {
            assert_eq!(judge(heard), Some(Err(String::new())), "{heard:?}");
        }
    }

    #[test]
    fn the_startup_message_tells_its_length() {
        let message = opening(None);
        assert_eq!(
            usize::try_from(u32::from_be_bytes(*message.first_chunk().unwrap())).unwrap(),
            message.len()
        );
        assert!(message.ends_with(b"\0health-proxy\0\0"));
    }
}
