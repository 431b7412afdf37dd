//! Lines of Prometheus' text format 0.0.4, made for scrapes of thousands of them.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

/// A number as we have them: whole, or a time with microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Whole(u64),
    Seconds(Duration),
}

impl From<bool> for Value {
    fn from(is_set: bool) -> Self {
        Self::Whole(is_set.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Whole(count)
    }
}

impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Seconds(time)
    }
}

/// Whole lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// What is written, and room.
    bytes: BytesMut,
    length: usize,
}

impl Lines {
    /// Makes room for so many bytes in all, where the last piece was if that has gone; what is written stays.
    pub(super) fn make_room(&mut self, bytes: usize) {
        self.bytes.resize(bytes.max(self.length), 0);
    }

    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// Takes the lines out.
    pub(super) fn take(&mut self) -> Bytes {
        self.bytes.truncate(self.length);
        self.length = 0;
        self.bytes.split().freeze()
    }

    /// Begins a metric; `kind` is `gauge`, `counter` or `histogram`.
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"] {
            self.text(part);
        }
    }

    /// One line, its `series` in parts, the last of which ends in a space. Labels stand as they are, and need no escapes.
    pub(super) fn line<const PARTS: usize>(&mut self, series: [&str; PARTS], value: impl Into<Value>) {
        for part in series {
            self.text(part);
        }
        self.number(value.into());
        self.end_line();
    }

    pub(super) fn text(&mut self, text: &str) {
        let (start, end) = (self.length, self.length + text.len());
        if end > self.bytes.len() {
            self.bytes.resize(end.max(2 * start), 0);
        }
        self.length = end;
        copy(text.as_bytes(), &mut self.bytes[start..end]);
    }

    fn end_line(&mut self) {
        match self.bytes.get_mut(self.length) {
            Some(place) => {
                *place = b'\n';
                self.length += 1;
            }
            None => self.text("\n"),
        }
    }

    fn number(&mut self, value: Value) {
        let mut digits = itoa::Buffer::new();
        match value {
            Value::Whole(number) => self.text(digits.format(number)),
            Value::Seconds(time) => {
                self.text(digits.format(time.as_secs()));
                if time.subsec_micros() > 0 {
                    // A leading one keeps the zeros of the fraction.
                    self.text(".");
                    self.text(&digits.format(1_000_000 + time.subsec_micros())[1..]);
                }
            }
        }
    }
}

/// Copies in blocks of a fixed size, the first and the last of which may overlap: a call of memcpy for each of some ten
/// thousand short texts would be most of a scrape.
fn copy(from: &[u8], to: &mut [u8]) {
    match from.len() {
        0 => {}
        1 => copy_ends::<1>(from, to),
        2..4 => copy_ends::<2>(from, to),
        4..8 => copy_ends::<4>(from, to),
        8..16 => copy_ends::<8>(from, to),
        16..32 => copy_ends::<16>(from, to),
        32..=64 => copy_ends::<32>(from, to),
        _ => to.copy_from_slice(from),
    }
}

/// Copies the first and the last `SIZE` bytes.
#[inline]
fn copy_ends<const SIZE: usize>(from: &[u8], to: &mut [u8]) {
    if let (Some(first), Some(to)) = (from.first_chunk::<SIZE>(), to.first_chunk_mut()) {
        *to = *first;
    }
    if let (Some(last), Some(to)) = (from.last_chunk::<SIZE>(), to.last_chunk_mut()) {
        *to = *last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_room_than_is_taken_cuts_nothing() {
        let mut lines = Lines::default();
        let text = "x".repeat(100_000);
        lines.text(&text);
        lines.make_room(1000);
        assert_eq!(lines.take(), text);
    }

    #[test]
    fn lines_as_prometheus_reads_them() {
        let mut lines = Lines::default();
        lines.family("a_seconds", "histogram", "What it is.");
        lines.line(["a_seconds", "_bucket{", "check=\"web\"", ",le=\"0.5\"} "], 3_u64);
        lines.line(["a_seconds_sum "], Duration::from_micros(2_000_050));
        lines.line(["a_seconds "], Duration::from_secs(7));
        lines.line(["a_seconds "], true);
        lines.line(["a_seconds "], u64::MAX);
        let expected = "# HELP a_seconds What it is.\n# TYPE a_seconds histogram\n\
                        a_seconds_bucket{check=\"web\",le=\"0.5\"} 3\na_seconds_sum 2.000050\na_seconds 7\na_seconds 1\n\
                        a_seconds 18446744073709551615\n";
        assert_eq!(lines.take(), expected);
    }
}
