//! An internal fault ends the process with a clear last line, so that no remembered answers are served.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::sleep;

use super::{AppError, run};
use crate::config::Config;
use crate::handover::Past;
use crate::log;

/// The variable that names the fault of the process that is to end.
const FAULT: &str = "FAULT_OF_A_TEST";

/// The time after which a worker without the fault is told to end, so that a test fails rather than hangs.
const PATIENCE: Duration = Duration::from_secs(5);

async fn worker_with(fault: &str) -> Result<(), AppError> {
    let check = (format!("READINESS_FAULT_{fault}").into(), "exec:true".into());
    let config = Config::read([check]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    run(config, listener, Past::empty().unwrap(), sleep(PATIENCE)).await
}

#[test]
fn it_ends_the_process_with_a_clear_last_line() {
    for (fault, reason) in [("PANIC", "injected"), ("OVERFLOW", "attempt to add with overflow")] {
        let mut process = Command::new(std::env::current_exe().unwrap());
        process.args(["--exact", "--ignored", "--nocapture", "app::faults::the_process_that_ends"]);
        let output = process.env(FAULT, fault).output().unwrap();
        assert_eq!(output.status.signal(), Some(6), "{output:?}");
        let errors = String::from_utf8(output.stderr).unwrap();
        let last = errors.lines().last().unwrap();
        assert!(last.starts_with("health-proxy: a fault of its own, it ends: panicked at src/"), "{last}");
        assert!(last.ends_with(reason), "{last}");
    }
}

#[tokio::test]
#[ignore = "it ends the whole process: the test above starts it in one of its own"]
async fn the_process_that_ends() {
    if let Some(fault) = std::env::var_os(FAULT) {
        log::abort_on_panic();
        let ended = worker_with(&fault.to_string_lossy()).await;
        panic!("it went on: {ended:?}");
    }
}

#[tokio::test]
async fn a_task_of_a_check_that_ends_early_ends_the_worker() {
    let ended = worker_with("PANIC").await;
    assert!(matches!(ended, Err(AppError::CheckEnded(_))), "{ended:?}");
}
