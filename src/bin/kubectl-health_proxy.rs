//! `kubectl health-proxy`, the program: see `plugin` of the library for its parts.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    health_proxy::plugin::run(&arguments)
}
