//! The two messages of `grpc.health.v1.Health/Check` and their frame, by hand: one field each.

/// The longest answer that is read, in bytes; a real one has two.
const MAX_ANSWER_BYTES: usize = 4096;

/// Before each message: whether it is compressed, and its length in four bytes.
const PREFIX_BYTES: usize = 5;

/// Returns `HealthCheckRequest { service }` in its frame.
pub(super) fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        // Field 1, length-delimited.
        message.push(0x0a);
        put_varint(&mut message, service.len());
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], &message].concat()
}

fn put_varint(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
}

/// An answer while it arrives.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// Takes the next part.
    pub(super) fn push(&mut self, part: &[u8]) -> Result<(), String> {
        let room = (PREFIX_BYTES + MAX_ANSWER_BYTES).saturating_sub(self.0.len());
        self.0.extend_from_slice(&part[..part.len().min(room)]);
        match self.length() {
            Some(length) if length > MAX_ANSWER_BYTES => {
                Err(format!("its answer of {length} bytes is longer than {MAX_ANSWER_BYTES}"))
            }
            _ if part.len() > room => Err(format!("its answer is longer than {MAX_ANSWER_BYTES} bytes")),
            _ => Ok(()),
        }
    }

    /// Returns `HealthCheckResponse.status`, whatever its number.
    pub(super) fn status(&self) -> Result<u64, String> {
        let message = self.0.get(PREFIX_BYTES..).filter(|message| Some(message.len()) == self.length());
        if self.0.first() == Some(&1) {
            return Err("its answer is compressed, which was not offered".to_owned());
        }
        message.and_then(status).ok_or_else(|| "its answer is not a HealthCheckResponse".to_owned())
    }

    fn length(&self) -> Option<usize> {
        let prefix = self.0.first_chunk::<PREFIX_BYTES>()?;
        usize::try_from(u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]])).ok()
    }
}

/// Returns field 1 as a varint, 0 where it is missing; other fields are skipped.
fn status(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let tag = take_varint(&mut message)?;
        let skipped = match tag & 7 {
            0 => {
                let value = take_varint(&mut message)?;
                if tag >> 3 == 1 {
                    status = value;
                }
                0
            }
            1 => 8,
            2 => usize::try_from(take_varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        message = message.get(skipped..)?;
    }
    Some(status)
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answered(bytes: &[u8]) -> Result<u64, String> {
        let mut answer = Message::default();
        for byte in bytes.chunks(1) {
            answer.push(byte)?;
        }
        answer.status()
    }

    #[test]
    fn requests() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("a.B"), *b"\0\0\0\0\x05\x0a\x03a.B");
        let long = request(&"s".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn answers() {
        assert_eq!(answered(&[0, 0, 0, 0, 2, 8, 1]), Ok(1));
        assert_eq!(answered(&[0, 0, 0, 0, 0]), Ok(0));
        assert_eq!(answered(b"\0\0\0\0\x0e\x12\x02hi\x1d1234\x08\x02\x20\x07\x08"), broken());
        assert_eq!(answered(b"\0\0\0\0\x0d\x12\x02hi\x1d1234\x08\x02\x20\x07"), Ok(2));
    }

    fn broken() -> Result<u64, String> {
        Err("its answer is not a HealthCheckResponse".to_owned())
    }

    #[test]
    fn answers_that_are_none() {
        for bytes in
            [&[][..], &[0, 0, 0], &[0, 0, 0, 0, 2, 8], &[0, 0, 0, 0, 1, 8, 1], &[0, 0, 0, 0, 1, 0x0b]]
        {
            assert_eq!(answered(bytes), broken(), "{bytes:?}");
        }
        assert_eq!(
            answered(&[0, 0, 0, 0, 11, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255]),
            broken()
        );
        assert!(answered(&[1, 0, 0, 0, 2, 8, 1]).unwrap_err().contains("compressed"));
        assert!(answered(&[0, 0, 160, 0, 0]).unwrap_err().contains("10485760 bytes"));
        assert!(Message::default().push(&[0; 5000]).unwrap_err().contains("longer than 4096"));
    }

    proptest! {
        #[test]
        fn no_answer_panics(bytes: Vec<u8>) {
            let _ = answered(&bytes);
        }
    }
}
