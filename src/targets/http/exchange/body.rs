//! The body of an answer, in each of the ways in which it can be delimited (RFC 9112, section 6.3).

use httparse::{Status, parse_chunk_size};

use super::reader::Reader;

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// With an empty chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// The first `limit` bytes of the body; one that breaks off before is an error.
pub(super) async fn read_body(
    reader: &mut Reader,
    framing: Framing,
    limit: usize,
) -> Result<Vec<u8>, String> {
    match framing {
        Framing::Length(length) => Ok(reader.at_least(at_most(length, limit)).await?.to_vec()),
        Framing::Chunked => read_chunks(reader, limit).await,
        Framing::UntilClose => {
            while reader.rest().len() < limit && reader.more().await? {}
            let rest = reader.rest();
            Ok(rest[..rest.len().min(limit)].to_vec())
        }
    }
}

async fn read_chunks(reader: &mut Reader, limit: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let size = chunk_size(reader).await?;
        if size == 0 {
            skip_trailers(reader).await?;
            return Ok(body);
        }
        let wanted = at_most(size, limit - body.len());
        body.extend_from_slice(reader.at_least(wanted).await?);
        if body.len() == limit {
            return Ok(body);
        }
        reader.use_up(wanted);
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
