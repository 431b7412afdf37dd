//! `MySQL` and `MariaDB`: the server's greeting, or its error
//! (<https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html>).

use super::Heard;

/// Length and sequence number of a packet stand before it, in bytes.
const HEADER: usize = 4;

/// The longest greeting that is taken, in bytes.
const MAX_GREETING_BYTES: usize = 1024;

/// The first byte of a packet: the version of the protocol, or an error.
const VERSION: u8 = 10;
const ERROR: u8 = 0xff;

/// Judges the first packet.
pub(super) fn judge(heard: &[u8]) -> Heard {
    let length =
        usize::try_from(u32::from_le_bytes([*heard.first()?, *heard.get(1)?, *heard.get(2)?, 0])).ok()?;
    if !(1..=MAX_GREETING_BYTES).contains(&length) || *heard.get(3)? != 0 {
        return Some(Err(String::new()));
    }
    match heard.get(HEADER..HEADER + length)? {
        [VERSION, ..] => Some(Ok(())),
        [ERROR, low, high, text @ ..] => {
            let code = u16::from_le_bytes([*low, *high]);
            // Since protocol 4.1 a marker and five characters of SQLSTATE stand before the text.
            let text = if text.first() == Some(&b'#') { text.get(6..).unwrap_or_default() } else { text };
            Some(Err(format!("{} (error {code})", String::from_utf8_lossy(text))))
        }
        _ => Some(Err(String::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(body: &[u8]) -> Vec<u8> {
        [&[u8::try_from(body.len()).unwrap(), 0, 0, 0], body].concat()
    }

    #[test]
    fn a_greeting_is_enough_and_an_error_is_told() {
        let greeting = packet(b"\x0a8.4.0\0rest");
        for end in 0..greeting.len() {
            assert_eq!(judge(&greeting[..end]), None, "{end}");
        }
        assert_eq!(judge(&greeting), Some(Ok(())));
        for body in
            [b"\xff\x10\x04Too many connections".as_slice(), b"\xff\x10\x04#08004Too many connections"]
        {
            assert_eq!(judge(&packet(body)), Some(Err("Too many connections (error 1040)".to_owned())));
        }
    }

    #[test]
    fn anything_else_is_not_mysql() {
        for heard in [b"HTTP/1.1 400".as_slice(), b"SSH-2.0-x", &[0; 16], &[0xff; 16], &packet(b"\x09old")] {
            assert_eq!(judge(heard), Some(Err(String::new())), "{heard:?}");
        }
    }
}
