//! The log: written by a thread of its own, so that a full pipe never stops a check.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;
use std::time::Duration;
use std::{panic, process};

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::outcome::one_line;

/// The most lines that wait for a slow reader before further ones are lost, and counted.
const WAITING_LINES: usize = 1024;

/// The longest time that the end of the process waits for its last lines to be taken.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The writing thread; keep it until the process ends.
#[derive(Debug)]
pub struct Log {
    finished: Receiver<()>,
    lines: Sender<Vec<u8>>,
}

/// Starts logging to standard output: `as_json`, or for people.
///
/// # Errors
/// The thread cannot be started.
pub fn start(filter: Targets, as_json: bool) -> io::Result<Log> {
    // A channel with a bound would take its 32 KiB at once, in every pod.
    let (sender, lines) = channel();
    let counts = Arc::new(Counts::default());
    let queue = Queue { lines: sender.clone(), counts: Arc::clone(&counts) };
    let (finish, finished) = sync_channel(1);
    let write = move || {
        write_lines(&lines, &counts, as_json, &mut io::stdout());
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
        // An empty line is the sign to end, since the subscriber keeps its sender for ever.
        if self.lines.send(Vec::new()).is_ok() {
            let _ = self.finished.recv_timeout(LAST_LINES);
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

/// Makes a panic anywhere abort the process, its reason the last line: remembered answers must not be served.
pub fn abort_on_panic() {
    panic::set_hook(Box::new(|fault| {
        let fault = one_line(&fault.to_string());
        last_line(format!("health-proxy: a fault of its own, it ends: {fault}"));
        process::abort();
    }));
}

fn write_lines(lines: &Receiver<Vec<u8>>, counts: &Counts, as_json: bool, output: &mut impl Write) {
    for line in lines.iter().take_while(|line| !line.is_empty()) {
        counts.waiting.fetch_sub(1, Ordering::Relaxed);
        // A reader that has gone is no reason to end: the answers go on.
        let _ = output.write_all(&line);
        let lost = counts.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = if as_json {
                writeln!(output, r#"{{"level":"WARN","message":"log lines lost","lost":{lost}}}"#)
            } else {
                writeln!(output, " WARN log lines lost lost={lost}")
            };
        }
        let _ = output.flush();
    }
}

/// A queue that hands each event's line to the writing thread, and never waits.
#[derive(Clone)]
struct Queue {
    lines: Sender<Vec<u8>>,
    counts: Arc<Counts>,
}

/// The destination of the lines.
#[derive(Debug, Default)]
struct Counts {
    /// Not written yet.
    waiting: AtomicUsize,
    /// For which there was no room, since that was last told.
    lost: AtomicU64,
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.counts.waiting.fetch_add(1, Ordering::Relaxed) < WAITING_LINES {
            // Where the writing thread has gone, so has the reader.
            let _ = self.lines.send(line.to_vec());
        } else {
            self.counts.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_which_there_was_no_room_are_counted_and_told() {
        let (sender, lines) = channel();
        let counts = Arc::new(Counts::default());
        let mut queue = Queue { lines: sender.clone(), counts: Arc::clone(&counts) };
        for number in 0..WAITING_LINES + 5 {
            queue.write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        sender.send(Vec::new()).unwrap();
        let mut output = Vec::new();
        write_lines(&lines, &counts, false, &mut output);
        let output = String::from_utf8(output).unwrap();
        let told: Vec<_> = output.lines().collect();
        assert_eq!(told.len(), WAITING_LINES + 1);
        assert_eq!(told[..3], ["line 0", " WARN log lines lost lost=5", "line 1"]);
        assert_eq!(told[WAITING_LINES], format!("line {}", WAITING_LINES - 1));

        queue.write_all(b"room again\n").unwrap();
        assert_eq!(lines.recv().unwrap(), b"room again\n");
    }
}
