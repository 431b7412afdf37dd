//! The log: written by a thread of its own, so that a full pipe never stops a check.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;
use std::{panic, process};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::outcome::one_line;

/// How many lines wait for a slow reader before further ones are lost, and counted.
const WAITING_LINES: usize = 1024;

/// How long the end of the process waits for its last lines to be taken.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The writing thread; keep it until the process ends.
#[derive(Debug)]
pub struct Log {
    finished: Receiver<()>,
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
    let (finish, finished) = sync_channel(1);
    let write = move || {
        write_lines(&lines, &lost, as_json);
        let _ = finish.send(());
    };
    thread::Builder::new().name("log".into()).spawn(write)?;
    let layer = fmt::layer().with_writer(queue).with_target(false);
    let layer = if as_json {
        layer.json().flatten_event(true).boxed()
    } else {
        layer.with_ansi(io::stdout().is_terminal()).boxed()
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    Ok(Log { finished, lines: sender })
}

impl Log {
    /// Waits for what has been logged so far, unless nobody reads it.
    pub fn finish(self) {
        let Self { finished, lines } = self;
        // An empty line is the sign to end, since the subscriber keeps its sender for ever. There may be no
        // room for it yet, so a thread waits for that.
        if thread::Builder::new().spawn(move || lines.send(Vec::new())).is_ok() {
            let _ = finished.recv_timeout(LAST_LINES);
        }
    }
}

/// Says on standard error why the process ends; a reader that takes nothing cannot hold that up.
pub fn last_line(line: String) {
    let (done, written) = sync_channel(1);
    let write = move || {
        let _ = writeln!(io::stderr(), "{line}");
        let _ = done.send(());
    };
    if thread::Builder::new().spawn(write).is_ok() {
        let _ = written.recv_timeout(LAST_LINES);
    }
}

/// A panic anywhere ends the process, its reason the last line: remembered answers must not be served.
pub fn abort_on_panic() {
    panic::set_hook(Box::new(|fault| {
        let fault = one_line(&fault.to_string());
        last_line(format!("health-proxy: a fault of its own, it ends: {fault}"));
        process::abort();
    }));
}

fn write_lines(lines: &Receiver<Vec<u8>>, lost: &AtomicU64, as_json: bool) {
    let mut stdout = io::stdout();
    for line in lines.iter().take_while(|line| !line.is_empty()) {
        // A reader that has gone is no reason to end: the answers go on.
        let _ = stdout.write_all(&line);
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = if as_json {
                writeln!(stdout, r#"{{"level":"WARN","message":"log lines lost","lost":{lost}}}"#)
            } else {
                writeln!(stdout, " WARN log lines lost lost={lost}")
            };
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
