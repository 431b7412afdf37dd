//! The bytes of an answer that have come so far.

use tokio::io::AsyncReadExt;

use super::Limits;
use crate::targets::dial::Stream;
use crate::targets::reason::io_reason;

/// The bytes that are asked for at once: room for most answers.
const READ_BYTES: usize = 4096;

/// A connection and what was read from it and is still of use.
pub(super) struct Reader {
    stream: Stream,
    bytes: Vec<u8>,
    used: usize,
    /// The bytes that have been read.
    read: usize,
    bytes_left: usize,
    pieces_left: u32,
}

impl Reader {
    /// Reads no more than `limits` allow.
    pub(super) const fn new(stream: Stream, limits: Limits) -> Self {
        Self {
            stream,
            bytes: Vec::new(),
            used: 0,
            read: 0,
            bytes_left: limits.read,
            pieces_left: limits.pieces,
        }
    }

    /// Returns what has come and was not used.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    /// Marks so many bytes of the rest as used.
    pub(super) fn use_up(&mut self, count: usize) {
        self.used += count;
    }

    /// Waits for more; `false` at the end of the stream.
    ///
    /// # Errors
    /// The connection failed, or too much has come.
    pub(super) async fn more(&mut self) -> Result<bool, String> {
        if self.bytes_left == 0 || self.pieces_left == 0 {
            return Err(format!("the answer has no end within {} bytes", self.read));
        }
        // A long body passes through, so that it is in memory once.
        self.bytes.drain(..self.used);
        self.used = 0;
        self.bytes.reserve(READ_BYTES.min(self.bytes_left));
        let mut limited = (&mut self.stream).take(self.bytes_left as u64);
        let read = limited.read_buf(&mut self.bytes).await;
        let read = read.map_err(|error| format!("reading failed: {}", io_reason(&error)))?;
        self.bytes_left -= read;
        self.read += read;
        self.pieces_left -= 1;
        Ok(read > 0)
    }

    /// Waits until `count` bytes have come.
    ///
    /// # Errors
    /// Fewer have come, or as for [`Reader::more`].
    pub(super) async fn at_least(&mut self, count: usize) -> Result<&[u8], String> {
        while self.rest().len() < count {
            if !self.more().await? {
                return Err("the connection was closed before the end of the body".to_owned());
            }
        }
        Ok(&self.rest()[..count])
    }
}
