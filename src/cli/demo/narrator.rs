//! Tells the story: looks at the sidecar's `/status` often, and says what has changed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::DemoError;
use super::story::{self, Line};
use super::terminal::Terminal;
use crate::cli::ask::{CLI_AGENT, ask};
use crate::server::document::Document;

/// Between two looks; a timeline in tenths of a second needs no more.
const LOOK: Duration = Duration::from_millis(100);

pub(super) struct Narrator {
    terminal: Terminal,
    sidecar: SocketAddr,
    served: Arc<AtomicU64>,
    began: Instant,
    last: Option<Document>,
}

/// Looks again and again; ends only when there is nobody to tell.
pub(super) async fn watch(narrator: &Mutex<Narrator>) -> Result<Infallible, DemoError> {
    loop {
        narrator.lock().await.look().await?;
        sleep(LOOK).await;
    }
}

impl Narrator {
    pub(super) fn new(terminal: Terminal, sidecar: SocketAddr, served: Arc<AtomicU64>) -> Self {
        Self { terminal, sidecar, served, began: Instant::now(), last: None }
    }

    /// Tells what cannot be seen at the sidecar.
    pub(super) fn say(&mut self, line: &Line) -> Result<(), DemoError> {
        self.terminal.line(self.began.elapsed(), line)?;
        self.footer()
    }

    /// Tells a line after the changes that led to it.
    pub(super) async fn tell(&mut self, line: &Line) -> Result<(), DemoError> {
        self.look().await?;
        self.say(line)
    }

    async fn look(&mut self) -> Result<(), DemoError> {
        // A worker that has just died answers the next time; a sidecar that has ended is told by others.
        if let Some(document) = self.ask().await {
            for line in story::changes(self.last.as_ref(), &document) {
                self.terminal.line(self.began.elapsed(), &line)?;
            }
            self.last = Some(document);
        }
        self.footer()
    }

    fn footer(&mut self) -> Result<(), DemoError> {
        let served = self.served.load(Ordering::Relaxed);
        self.last.as_ref().map_or(Ok(()), |last| self.terminal.footer(self.began.elapsed(), served, last))
    }

    async fn ask(&self) -> Option<Document> {
        let answer = ask(&[self.sidecar], "GET", "/status", CLI_AGENT).await.ok()?;
        serde_json::from_slice(&answer.body.bytes).ok()
    }

    /// Closes the timeline; where something went wrong, that is said elsewhere.
    pub(super) fn take_leave(mut self, is_in_order: bool) -> Result<(), DemoError> {
        let farewell = "\nThe sidecar and kubia have ended, and their ports are free again.\n";
        self.terminal.text(if is_in_order { farewell } else { "\n" })
    }
}
