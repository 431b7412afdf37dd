//! The body of an answer, in each of the ways in which it can be delimited (RFC 9112, section 6.3).

use httparse::{Status, parse_chunk_size};

use super::reader::Reader;
use crate::targets::room::{Room, SMALL};

/// The end of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// With an empty chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// The part of a body that was read.
#[derive(Debug, Default)]
pub struct Body {
    /// Its beginning, decoded.
    pub bytes: Vec<u8>,
    /// Held while the bytes are, where there are many.
    pub room: Option<Room>,
}

impl Body {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// Never: there is always room in the end.
    pub async fn push(&mut self, part: &[u8]) -> Result<(), String> {
        if self.room.is_none() && self.bytes.len() + part.len() > SMALL {
            self.room = Some(Room::get().await?);
        }
        self.bytes.extend_from_slice(part);
        Ok(())
    }

    /// Takes `count` bytes as they come.
    async fn take(&mut self, reader: &mut Reader, count: usize) -> Result<(), String> {
        let mut missing = count;
        while missing > 0 {
            if self.take_rest(reader, &mut missing).await? == 0 && !reader.more().await? {
                return Err("the connection was closed before the end of the body".to_owned());
            }
        }
        Ok(())
    }

    /// Takes what has come, but no more than is `missing`.
    async fn take_rest(&mut self, reader: &mut Reader, missing: &mut usize) -> Result<usize, String> {
        let count = reader.rest().len().min(*missing);
        self.push(&reader.rest()[..count]).await?;
        reader.use_up(count);
        *missing -= count;
        Ok(count)
    }
}

/// Reads the first `limit` bytes of the body; one that breaks off before is an error.
pub(super) async fn read_body(reader: &mut Reader, framing: Framing, limit: usize) -> Result<Body, String> {
    let mut body = Body::default();
    match framing {
        Framing::Length(length) => body.take(reader, at_most(length, limit)).await?,
        Framing::Chunked => read_chunks(reader, &mut body, limit).await?,
        Framing::UntilClose => {
            let mut missing = limit;
            while missing > 0 {
                if body.take_rest(reader, &mut missing).await? == 0 && !reader.more().await? {
                    break;
                }
            }
        }
    }
    Ok(body)
}

async fn read_chunks(reader: &mut Reader, body: &mut Body, limit: usize) -> Result<(), String> {
    loop {
        let size = chunk_size(reader).await?;
        if size == 0 {
            return skip_trailers(reader).await;
        }
        body.take(reader, at_most(size, limit - body.bytes.len())).await?;
        if body.bytes.len() == limit {
            return Ok(());
        }
        if reader.at_least(2).await? != b"\r\n" {
            return Err("a chunk of the body is longer than it says".to_owned());
        }
        reader.use_up(2);
    }
}

/// Reads the line before a chunk.
async fn chunk_size(reader: &mut Reader) -> Result<u64, String> {
    loop {
        let parsed =
            parse_chunk_size(reader.rest()).map_err(|_| "a chunk of the body has an invalid size")?;
        if let Status::Complete((length, size)) = parsed {
            reader.use_up(length);
            return Ok(size);
        }
        reader.at_least(reader.rest().len() + 1).await?;
    }
}

/// Reads the lines after the last chunk, to the empty one.
async fn skip_trailers(reader: &mut Reader) -> Result<(), String> {
    loop {
        match reader.rest().iter().position(|&byte| byte == b'\n') {
            Some(end) => {
                let is_empty = reader.rest()[..end].trim_ascii().is_empty();
                reader.use_up(end + 1);
                if is_empty {
                    return Ok(());
                }
            }
            None => drop(reader.at_least(reader.rest().len() + 1).await?),
        }
    }
}

fn at_most(length: u64, limit: usize) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX).min(limit)
}
