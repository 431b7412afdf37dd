//! The look of the story: columns, symbols, colour and a live last line on a terminal; plain text elsewhere.

use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::DemoError;
use super::kubia::{ROUND, is_well};
use super::story::{Actor, Line, Mark, code, passes};
use crate::probe::Probe;
use crate::server::document::Document;

/// A colour or weight (ECMA-48, `SGR`).
type Style = &'static str;
const PLAIN: Style = "0";
const BOLD: Style = "1";
const DIM: Style = "2";
const RED: Style = "31";
const GREEN: Style = "32";
const YELLOW: Style = "33";
const MAGENTA: Style = "35";
const CYAN: Style = "36";

/// Back to the first column, and away with what stands in this line.
const CLEAR: &str = "\r\x1b[K";

/// Standard output, and what it can show.
pub(super) struct Terminal {
    is_live: bool,
    has_colour: bool,
}

impl Terminal {
    /// Returns the kind of standard output, with `NO_COLOR` (no-color.org) and `TERM=dumb` honoured.
    pub(super) fn of_process() -> Self {
        let is_live = io::stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
        let has_colour = is_live && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { is_live, has_colour }
    }

    /// Writes whole lines. What stands between backquotes is emphasised, and what follows `# ` recedes.
    pub(super) fn text(&mut self, text: &str) -> Result<(), DemoError> {
        let mut shown = String::new();
        for line in text.split_inclusive('\n') {
            let (line, remark) = line.find("# ").map_or((line, ""), |at| line.split_at(at));
            for (index, part) in line.split('`').enumerate() {
                shown += &self.styled(if index % 2 == 1 { BOLD } else { PLAIN }, part);
            }
            shown += &self.styled(DIM, remark);
        }
        self.write(&shown)
    }

    /// Writes a line of the timeline.
    pub(super) fn line(&mut self, at: Duration, line: &Line) -> Result<(), DemoError> {
        let gap = if line.mark == Mark::Starts { "\n" } else { "" };
        let actor = match line.actor {
            Actor::Kubelet => self.styled(CYAN, "kubelet"),
            Actor::Sidecar => self.styled(MAGENTA, "sidecar"),
        };
        let text = match line.mark {
            Mark::Turns => self.with_codes(&line.text),
            Mark::Starts | Mark::Kills | Mark::Renews => self.styled(BOLD, &line.text),
            _ => line.text.clone(),
        };
        let text = if self.is_live { text } else { text.replace('→', "->") };
        self.write(&format!("{gap}{}  {actor}  {} {text}\n", self.time(at), self.mark(line.mark)))
    }

    /// Writes the live last line: kubia's round of ten requests, and what the three paths answer.
    pub(super) fn footer(&mut self, at: Duration, served: u64, now: &Document) -> Result<(), DemoError> {
        if !self.is_live {
            return Ok(());
        }
        let mut footer = format!("{}  {}    ", self.time(at), self.styled(YELLOW, "kubia"));
        let first = served.saturating_sub(1) / ROUND * ROUND + 1;
        for number in first..first + ROUND {
            footer += &match (number <= served, is_well(number)) {
                (false, _) => self.styled(DIM, "·"),
                (true, true) => self.styled(GREEN, "✓"),
                (true, false) => self.styled(RED, "✗"),
            };
        }
        for probe in [Probe::Startup, Probe::Liveness, Probe::Readiness] {
            let answer = self.with_codes(&code(passes(now, probe)).to_string());
            let _ = write!(footer, "  /{} {answer}", probe.path());
        }
        // Without wrapping: on a narrow terminal its end is cut, or it could not be cleared.
        self.write(&format!("\x1b[?7l{footer}\x1b[?7h"))
    }

    fn time(&self, at: Duration) -> String {
        self.styled(DIM, &format!("{:6.1}s", at.as_secs_f64()))
    }

    fn mark(&self, mark: Mark) -> String {
        let (style, symbol, plain) = match mark {
            Mark::Starts => (CYAN, "▶", ">"),
            Mark::Kills => (RED, "■", "x"),
            Mark::Passes => (GREEN, "✓", "+"),
            Mark::Warns => (YELLOW, "✗", "-"),
            Mark::Fails => (RED, "✗", "-"),
            Mark::Turns => (PLAIN, "●", "*"),
            Mark::Renews => (MAGENTA, "↻", "*"),
        };
        self.styled(style, if self.is_live { symbol } else { plain })
    }

    /// Status codes in the colour of what they mean.
    fn with_codes(&self, text: &str) -> String {
        text.replace("200", &self.styled(GREEN, "200")).replace("503", &self.styled(RED, "503"))
    }

    fn styled(&self, style: Style, text: &str) -> String {
        if !self.has_colour || style == PLAIN || text.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{style}m{text}\x1b[0m")
    }

    fn write(&self, text: &str) -> Result<(), DemoError> {
        let clear = if self.is_live { CLEAR } else { "" };
        let mut stdout = io::stdout().lock();
        write!(stdout, "{clear}{text}").and_then(|()| stdout.flush()).map_err(DemoError::Output)
    }
}
