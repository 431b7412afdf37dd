//! The command line: which command, and its exit status.

mod ask;
mod demo;
mod once;
mod status;
mod table;
mod worker;

use std::process::ExitCode;

use crate::config::{Config, ConfigError};
use crate::log;
use crate::supervisor::{self, SupervisorError, WORKER};
use crate::targets::enter::{ENTER, START, enter, start};

/// The exit status of a wrong configuration or a wrong command.
const WRONG_USE: u8 = 2;

const HELP: &str = "\
health-proxy asks a pod's main container everything the kubelet cannot, over localhost,
and answers /livez, /readyz, /startupz and /metrics.

Usage:
  health-proxy                    run the sidecar
  health-proxy check              run every check once and print a table
  health-proxy get WHAT [--verbose]
                                  ask the running sidecar; WHAT is livez, readyz, startupz,
                                  status, metrics or healthy
  health-proxy get status [--json]
                                  why is this pod not ready: a table, or the document
  health-proxy drain              turn /readyz red, for preStop
  health-proxy demo               watch an app fail and recover
  health-proxy --help, --version

A check is a variable: its name says which probe it feeds, its value is the target.
  LIVENESS_WEB=http://:8080/healthz
  READINESS_DB=tcp://:5432
  READINESS_WARM=exec:ls /var/ready
  STARTUP_WEB=http://:8080/healthz
Options are appended to its name: LIVENESS_WEB_PERIOD_SECONDS=5
";

/// Why a command could not do what it is for.
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
    #[error("health-proxy: unknown command {0:?}; see health-proxy --help")]
    Usage(String),
}

impl CliError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Usage(_) => WRONG_USE.into(),
            _ => ExitCode::FAILURE,
        }
    }
}

/// Does what `arguments` (without the program's name) ask for.
pub fn run(arguments: &[String]) -> ExitCode {
    log::abort_on_panic();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    dispatch(&arguments).unwrap_or_else(|error| {
        log::last_line(error.to_string());
        error.exit_code()
    })
}

fn dispatch(arguments: &[&str]) -> Result<ExitCode, CliError> {
    match arguments {
        [] => {
            // Only this is kept: what many checks take would be taken a second time here, for nothing.
            let listen = configuration()?.settings.listen;
            Ok(supervisor::run(listen)?.into())
        }
        [command, supervisor] if *command == WORKER => worker::run(configuration()?, supervisor),
        [command, arguments @ ..] if *command == START => Err(CliError::Start(start(arguments))),
        [command, arguments @ ..] if *command == ENTER => Err(CliError::Start(enter(arguments))),
        ["check"] => once::run(configuration()?),
        ["get", "status", "--json"] | ["get", "--json", "status"] => ask::get_status(true),
        ["get", what] => ask::get(what, false),
        ["get", what, "--verbose"] | ["get", "--verbose", what] => ask::get(what, true),
        ["drain"] => ask::drain(),
        ["demo"] => demo::run(),
        ["demo", part, demo] if *part == demo::SIDECAR => demo::run_sidecar(&configuration()?, demo),
        ["--help" | "-h" | "help"] => Ok(print(HELP)),
        ["--version" | "-V"] => Ok(print(concat!("health-proxy ", env!("CARGO_PKG_VERSION"), "\n"))),
        other => Err(CliError::Usage(other.join(" "))),
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
