//! One scrape, made while it is sent: however many checks there are, a reader costs no more than a piece.

use std::pin::Pin;
use std::slice;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};
use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;

use super::checks::FAMILIES;
use crate::pod::{Pod, Scope};
use crate::probe::Probe;

/// The least size of a piece, unless it is the last.
const MIN_PIECE_BYTES: usize = 32 * 1024;

/// About how much there is once, and of a check, in bytes: room that need not grow.
const ONCE_BYTES: usize = 6 * 1024;
const CHECK_BYTES: usize = 2560;

/// The most checks that are collected at once: the messages of a check take four times the space of their text.
const MAX_COLLECTED_CHECKS: usize = 32;

/// The pieces of an answer to `/metrics`, each of whole lines.
#[derive(Debug)]
pub struct Scrape {
    pod: Arc<Pod>,
    /// The next piece: at first what does not depend on the checks.
    text: String,
    /// Of [`FAMILIES`].
    family: usize,
    /// The number of checks of the family that are done.
    done: usize,
    /// Whether the family has its head.
    has_head: bool,
}

impl Scrape {
    /// Begins with `families`.
    pub(super) fn new(families: &[MetricFamily], pod: Arc<Pod>) -> prometheus::Result<Self> {
        let mut text =
            String::with_capacity(MIN_PIECE_BYTES.min(ONCE_BYTES + pod.entries().len() * CHECK_BYTES));
        TextEncoder::new().encode_utf8(families, &mut text)?;
        Ok(Self { pod, text, family: 0, done: 0, has_head: false })
    }

    fn next_piece(&mut self) -> prometheus::Result<Bytes> {
        let pod = Arc::clone(&self.pod);
        let look = pod.look(Probe::Liveness, Scope::Pod);
        // Each part is dropped when the next one is there: the allocator need not map its memory again.
        let mut part;
        while self.text.len() < MIN_PIECE_BYTES
            && let Some(family) = FAMILIES.get(self.family)
        {
            let rest = &pod.entries()[self.done..];
            let entries = &rest[..rest.len().min(MAX_COLLECTED_CHECKS)];
            part = family.collect(entries, &look);
            self.write(&part)?;
            self.done += entries.len();
            if self.done == pod.entries().len() {
                (self.family, self.done, self.has_head) = (self.family + 1, 0, false);
            }
        }
        Ok(std::mem::take(&mut self.text).into())
    }

    /// Writes a part of a family. The encoder begins each with the head of two lines, which belongs to the first.
    fn write(&mut self, part: &MetricFamily) -> prometheus::Result<()> {
        if part.get_metric().is_empty() {
            return Ok(());
        }
        let start = self.text.len();
        TextEncoder::new().encode_utf8(slice::from_ref(part), &mut self.text)?;
        if self.has_head {
            let head = self.text[start..].split_inclusive('\n').take(2).map(str::len).sum::<usize>();
            self.text.drain(start..start + head);
        }
        self.has_head = true;
        Ok(())
    }
}

impl Body for Scrape {
    type Data = Bytes;
    type Error = prometheus::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, prometheus::Error>>> {
        let piece = (!self.is_end_stream()).then(|| self.next_piece().map(Frame::data));
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.text.is_empty() && self.family == FAMILIES.len()
    }
}
