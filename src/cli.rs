//! The command line: which command, and its exit status.

mod ask;
mod demo;
mod help;
mod once;
mod status;
mod words;
mod worker;

use std::process::ExitCode;

use nix::sys::prctl::set_dumpable;

use crate::config::{Config, ConfigError};
use crate::log;
use crate::supervisor::{self, SupervisorError, WORKER};
use crate::targets::enter::{ENTER, NOT_STARTED, START, enter, start};

use words::Command;

/// The exit status of a wrong configuration or a wrong command.
const WRONG_USE: u8 = 2;

/// The reason for which a command could not do what it is for.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("health-proxy: {0}")]
    Supervisor(#[from] SupervisorError),
    #[error("health-proxy: {0}")]
    Io(#[from] std::io::Error),
    #[error("health-proxy: {0}")]
    App(#[from] crate::app::AppError),
    #[error("health-proxy: {0}")]
    Ask(#[from] ask::AskError),
    #[error("health-proxy: {0}")]
    Demo(#[from] demo::DemoError),
    #[error("{0}")]
    Start(String),
    #[error("health-proxy: {0}")]
    Words(#[from] words::WordsError),
}

impl CliError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Words(_) => WRONG_USE.into(),
            Self::Start(_) => NOT_STARTED.into(),
            _ => ExitCode::FAILURE,
        }
    }
}

/// Does what `arguments` (without the program's name) ask for.
pub fn run(arguments: &[String]) -> ExitCode {
    log::abort_on_panic();
    keep_memory_private();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    dispatch(&arguments).unwrap_or_else(|error| {
        log::last_line(error.to_string());
        error.exit_code()
    })
}

/// Shuts `/proc/PID/environ` and `mem` for other processes of the same user, which is the app's where they share a process
/// namespace (`PR_SET_DUMPABLE` in prctl(2)). A kernel that refuses leaves things as they always were.
fn keep_memory_private() {
    let _ = set_dumpable(false);
}

fn dispatch(words: &[&str]) -> Result<ExitCode, CliError> {
    match words {
        // What the program starts itself with.
        [WORKER, supervisor] => worker::run(configuration()?, supervisor),
        [START, words @ ..] => Err(CliError::Start(start(words))),
        [ENTER, words @ ..] => Err(CliError::Start(enter(words))),
        ["demo", demo::SIDECAR, demo] => demo::run_sidecar(&configuration()?, demo),
        words => follow(words::parse(words)?),
    }
}

/// Does what somebody asked for.
fn follow(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Sidecar => {
            // Only this is kept: what many checks take would be taken a second time here, for nothing.
            let listen = configuration()?.settings.listen;
            Ok(supervisor::run(listen)?.into())
        }
        Command::Check => once::run(configuration()?),
        Command::Get(question) => ask::get(&question),
        Command::Drain => ask::drain(),
        Command::Demo => demo::run(),
        Command::Print(text) => Ok(print(text)),
    }
}

fn configuration() -> Result<Config, ConfigError> {
    Config::read(std::env::vars_os())
}

fn print(text: &str) -> ExitCode {
    use std::io::Write;
    // A reader that has seen enough, such as head, is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}
