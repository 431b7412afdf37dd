//! Redis and Valkey: `AUTH` where there is a password, and `PING`
//! (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).

use super::Heard;
use crate::grammar::remote::Login;

/// The longest line of an answer that is taken, in bytes.
const MAX_LINE_BYTES: usize = 1024;

/// Returns all that is said, the goodbye included: the server answers in order and then closes.
pub(super) fn opening(login: Option<&Login>) -> Vec<u8> {
    let mut commands = Vec::new();
    if let Some(Login { user, password: Some(password) }) = login {
        let user = Some(user.as_slice()).filter(|user| !user.is_empty());
        let words: Vec<_> = [Some(&b"AUTH"[..]), user, Some(password)].into_iter().flatten().collect();
        commands.extend(command(&words));
    }
    commands.extend(command(&[b"PING"]));
    commands.extend(command(&[b"QUIT"]));
    commands
}

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend_from_slice(word);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// Judges the answers so far: an error is one, `PONG` is the end, and an `OK` before it is that of `AUTH`.
pub(super) fn judge(heard: &[u8]) -> Heard {
    let mut rest = heard;
    loop {
        let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            let is_redis = matches!(rest.first(), None | Some(b'+' | b'-')) && rest.len() <= MAX_LINE_BYTES;
            return if is_redis { None } else { Some(Err(String::new())) };
        };
        match &rest[..end] {
            b"+PONG" => return Some(Ok(())),
            b"+OK" => rest = &rest[end + 2..],
            [b'-', message @ ..] => return Some(Err(String::from_utf8_lossy(message).into_owned())),
            _ => return Some(Err(String::new())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pong_is_the_end_and_an_error_is_told() {
        for heard in [b"+PONG\r\n".as_slice(), b"+OK\r\n+PONG\r\n"] {
            for end in 0..heard.len() {
                assert_eq!(judge(&heard[..end]), None, "{end}");
            }
            assert_eq!(judge(heard), Some(Ok(())));
        }
        let wrong =
            judge(b"-WRONGPASS invalid username-password pair\r\n-NOAUTH Authentication required.\r\n");
        assert_eq!(wrong, Some(Err("WRONGPASS invalid username-password pair".to_owned())));
    }

    #[test]
    fn anything_else_is_not_redis() {
        let long = [b"+".as_slice(), &[b'x'; 2000]].concat();
        for heard in [b"HTTP/1.1 400\r\n".as_slice(), b"$4\r\nPONG\r\n", b"\0\0", &long, b"+HELLO\r\n"] {
            assert_eq!(judge(heard), Some(Err(String::new())), "{heard:?}");
        }
    }

    #[test]
    fn a_password_may_hold_anything() {
        let login =
            |user: &[u8], password: &[u8]| Login { user: user.to_vec(), password: Some(password.to_vec()) };
        let said = opening(Some(&login(b"", b"a\r\nb")));
        assert!(said.starts_with(b"*2\r\n$4\r\nAUTH\r\n$4\r\na\r\nb\r\n*1\r\n$4\r\nPING\r\n"));
        assert!(
            opening(Some(&login(b"me", b"x"))).starts_with(b"*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$1\r\nx\r\n")
        );
        assert!(opening(None).starts_with(b"*1\r\n$4\r\nPING\r\n"));
    }
}
