//! One scrape, made while it is sent: however many checks there are, a reader costs no more than a piece.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};

use super::checks::FAMILIES;
use super::process::Process;
use super::text::Lines;
use crate::pod::{Pod, Scope};
use crate::probe::Probe;

/// How large a piece is, in bytes; the lines of one check more or less.
const PIECE: usize = 32 * 1024;

/// Room for the lines of one check in one family.
const ROW: usize = 2 * 1024;

/// Room for all lines of one check.
const CHECK: usize = 3 * 1024;

/// Room for what there is once, beside the text that is given.
const ONCE: usize = 2 * 1024;

/// The pieces of an answer to `/metrics`, each of whole lines.
#[derive(Debug)]
pub struct Scrape {
    pod: Arc<Pod>,
    /// What does not depend on the checks, before anything else is taken.
    lines: Lines,
    /// For a piece: a few checks need less than there could be.
    room: usize,
    family: usize,
    entry: usize,
}

impl Scrape {
    /// Begins with `text`, the lines of what is counted elsewhere.
    pub(super) fn new(text: &str, process: &Process, pod: Arc<Pod>) -> Self {
        let room = (text.len() + ONCE + pod.entries().len() * CHECK).min(PIECE + ROW);
        let mut lines = Lines::default();
        lines.make_room(room);
        lines.text(text);
        process.write(&mut lines);
        write_probes(&mut lines, &pod);
        Self { pod, lines, room, family: 0, entry: 0 }
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        if self.is_end_stream() {
            return None;
        }
        let look = self.pod.look(Probe::Liveness, Scope::Pod);
        let lines = &mut self.lines;
        lines.make_room(self.room);
        while lines.len() < PIECE
            && let Some(family) = FAMILIES.get(self.family)
        {
            if self.entry == 0 {
                family.begin(lines);
            }
            if let Some(entry) = self.pod.entries().get(self.entry) {
                family.write(lines, entry, &look);
                self.entry += 1;
            } else {
                (self.family, self.entry) = (self.family + 1, 0);
            }
        }
        Some(lines.take())
    }
}

impl Body for Scrape {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next_piece().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.lines.len() == 0 && self.family == FAMILIES.len()
    }
}

fn write_probes(lines: &mut Lines, pod: &Pod) {
    lines.family("health_proxy_probe_healthy", "gauge", "Whether the probe passes: what its path answers.");
    let mut write = |label: &str, scope| {
        for probe in Probe::ALL {
            let series = ["health_proxy_probe_healthy{", label, "probe=\"", probe.as_str(), "\"} "];
            lines.line(series, pod.passes_as_known(probe, scope));
        }
    };
    write("", Scope::Pod);
    for (place, container) in pod.containers().enumerate() {
        if let Some(name) = container.name() {
            write(&format!("app_container=\"{name}\","), Scope::Container(place));
        }
    }
    let labels: Vec<_> = pod.containers().map(|container| braced(container.name())).collect();
    let name = "health_proxy_startup_duration_seconds";
    lines.family(name, "gauge", "From the beginning of the incarnation until startup passed; 0 until then.");
    for (place, (container, labels)) in pod.containers().zip(&labels).enumerate() {
        let began = container.incarnation().began;
        let startup = pod.started_at(place).map(|at| at.saturating_duration_since(began));
        lines.line([name, labels, " "], startup.unwrap_or_default());
    }
    let name = "health_proxy_incarnations_total";
    lines.family(name, "counter", "Lives of the main container that were seen, the first included.");
    for (container, labels) in pod.containers().zip(&labels) {
        lines.line([name, labels, " "], container.incarnation().number);
    }
}

fn braced(container: Option<&str>) -> String {
    container.map(|name| format!("{{app_container=\"{name}\"}}")).unwrap_or_default()
}
