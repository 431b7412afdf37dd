//! The log: written by a thread of its own, so that a full pipe never stops a check.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// How many lines wait for a slow reader before further ones are lost, and counted.
const WAITING_LINES: usize = 1024;

/// How long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The writing thread; keep it until the process ends.
#[derive(Debug)]
pub struct Log {
    writer: JoinHandle<()>,
    lines: SyncSender<Vec<u8>>,
}

/// Starts logging to standard output: `as_json`, or for people.
///
/// # Errors
/// The thread cannot be started.
pub fn start(filter: Targets, as_json: bool) -> io::Result<Log> {
    let (sender, lines) = sync_channel(WAITING_LINES);
    let lost = Arc::new(AtomicU64::new(0));
    let queue = Queue { lines: sender.clone(), lost: Arc::clone(&lost) };
    let writer = thread::Builder::new().name("log".into()).spawn(move || write_lines(&lines, &lost))?;
    let layer = fmt::layer().with_writer(queue).with_target(false);
    let layer = if as_json {
        layer.json().flatten_event(true).boxed()
    } else {
        layer.with_ansi(io::stdout().is_terminal()).boxed()
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    Ok(Log { writer, lines: sender })
}

impl Log {
    /// Waits for what has been logged so far, unless nobody reads it.
    pub fn finish(self) {
        // An empty line is the sign to end: the subscriber keeps its sender for ever.
        let deadline = Instant::now() + LAST_LINES;
        while Instant::now() < deadline && !self.writer.is_finished() {
            let _ = self.lines.try_send(Vec::new());
            thread::yield_now();
        }
    }
}

fn write_lines(lines: &Receiver<Vec<u8>>, lost: &AtomicU64) {
    let mut stdout = io::stdout();
    for line in lines.iter().take_while(|line| !line.is_empty()) {
        // A reader that has gone is no reason to end: the answers go on.
        let _ = stdout.write_all(&line);
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(stdout, "{{\"level\":\"WARN\",\"message\":\"log lines lost\",\"lost\":{lost}}}");
        }
        let _ = stdout.flush();
    }
}

/// Hands each event's line to the writing thread, and never waits.
#[derive(Clone)]
struct Queue {
    lines: SyncSender<Vec<u8>>,
    lost: Arc<AtomicU64>,
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line.to_vec()) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
