//! Numbers, times and witnesses as bytes.

use std::time::Duration;

use tokio::time::Instant;

use super::Clock;
use crate::outcome::{CUT, whole_characters};
use crate::snapshot::MAX_PAYLOAD;
use crate::witness::{Process, Witness};

/// The number of sockets of a witness that are kept: one that is the same is enough.
const MAX_INODES: usize = 8;

/// A writer that puts parts behind each other.
#[derive(Debug)]
pub struct Writer {
    clock: Clock,
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, bytes: Vec::with_capacity(128) }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub fn flags<const COUNT: usize>(&mut self, flags: [bool; COUNT]) {
        self.byte(flags.iter().rev().fold(0, |byte, flag| byte << 1 | u8::from(*flag)));
    }

    pub fn number(&mut self, number: u64) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    pub fn duration(&mut self, duration: Duration) {
        self.number(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Puts an instant by the kernel's monotonic clock, which the next worker has too.
    pub fn instant(&mut self, instant: Instant) {
        let Clock { instant: zero, monotonic } = self.clock;
        let after = instant.saturating_duration_since(zero);
        let before = zero.saturating_duration_since(instant);
        self.duration((monotonic + after).saturating_sub(before));
    }

    pub fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub fn witness(&mut self, witness: &Witness) {
        match witness {
            Witness::Sockets(inodes) => {
                let kept = &inodes[..inodes.len().min(MAX_INODES)];
                self.byte(u8::try_from(kept.len()).unwrap_or(u8::MAX));
                for inode in kept {
                    self.number(*inode);
                }
            }
            Witness::Process(process) => {
                self.byte(0);
                self.number(u64::from(process.id.cast_unsigned()));
                self.number(process.start());
            }
        }
    }

    /// Returns how many bytes a witness takes.
    pub fn bytes_of(witness: &Witness) -> usize {
        match witness {
            Witness::Sockets(inodes) => 1 + 8 * inodes.len().min(MAX_INODES),
            Witness::Process(_) => 1 + 8 + 8,
        }
    }

    /// Returns how many bytes are left.
    pub fn room(&self) -> usize {
        MAX_PAYLOAD.saturating_sub(self.bytes.len())
    }

    /// Puts as much of a text as there is room for; nothing can follow it.
    pub fn text(&mut self, text: &str) {
        let room = self.room();
        if text.len() <= room {
            self.bytes.extend_from_slice(text.as_bytes());
            return;
        }
        let end = whole_characters(text, room.saturating_sub(CUT.len()));
        self.bytes.extend_from_slice(&text.as_bytes()[..end]);
        self.bytes.extend_from_slice(CUT.as_bytes());
    }
}

/// A reader that takes the parts out in the same order.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    clock: Clock,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8], clock: Clock) -> Self {
        Self { bytes, clock }
    }

    pub fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*byte)
    }

    pub fn flags<const COUNT: usize>(&mut self) -> Option<[bool; COUNT]> {
        let byte = self.byte()?;
        Some(std::array::from_fn(|place| byte >> place & 1 == 1))
    }

    pub fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(u64::from_le_bytes(*number))
    }

    pub fn duration(&mut self) -> Option<Duration> {
        self.number().map(Duration::from_nanos)
    }

    pub fn instant(&mut self) -> Option<Instant> {
        let Clock { instant: zero, monotonic } = self.clock;
        let at = self.duration()?;
        match at.checked_sub(monotonic) {
            Some(after) => zero.checked_add(after),
            None => zero.checked_sub(monotonic.saturating_sub(at)),
        }
    }

    /// Takes an optional value; the outer `None` is for what cannot be read.
    #[expect(clippy::option_option, reason = "what is there, or not, may be read or not")]
    pub fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            _ => read(self).map(Some),
        }
    }

    pub fn witness(&mut self) -> Option<Witness> {
        match self.byte()? {
            0 => {
                let id = u32::try_from(self.number()?).ok()?.cast_signed();
                Some(Witness::Process(Process::new(id, self.number()?)))
            }
            count => (0..count).map(|_| self.number()).collect::<Option<_>>().map(Witness::Sockets),
        }
    }

    /// Returns what is left, as a text.
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(std::mem::take(&mut self.bytes)).ok()
    }
}
