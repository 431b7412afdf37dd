//! `exec:` targets.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::attempt::Directory;
use crate::sidecar::{Sidecar, eventually};

/// Starts a sidecar with one readiness check of `words`, in JSON so that nothing has to be quoted.
fn watching(words: &[&str]) -> Sidecar {
    let target = format!("exec:{}", serde_json::to_string(words).unwrap());
    Sidecar::start(&[
        ("READINESS_RUN", &target),
        ("READINESS_RUN_TIMEOUT_SECONDS", "5"),
        ("READINESS_RUN_FAILURE_THRESHOLD", "1"),
    ])
}

/// Returns the reason of the first run, or `ok`.
fn verdict(words: &[&str]) -> String {
    let sidecar = watching(words);
    eventually("a verdict", || {
        let answer = sidecar.get("/readyz/run").body;
        (answer != "no result yet\n").then(|| answer.trim_end().to_owned())
    })
}

fn script(text: &str) -> String {
    verdict(&["sh", "-c", text])
}

#[test]
fn the_exit_status_decides_and_the_output_is_the_reason() {
    assert_eq!(verdict(&["true"]), "ok");
    assert_eq!(script("echo out; echo err >&2; exit 3"), "out err (exit status 3)");
    assert_eq!(script("exit 3"), "exit status 3, and nothing was printed");
    assert_eq!(
        script("kill -9 $$"),
        "killed by SIGKILL (the memory limit of the sidecar?), and nothing was printed"
    );
}

#[test]
fn a_command_that_cannot_be_started_fails() {
    let missing = "no such file or directory in the sidecar's image, where exec checks run: put it there, or run it in the \
                   app's container (READINESS_RUN_IN_PROCESS)";
    for program in ["/no/such", "nonesuch"] {
        assert_eq!(verdict(&[program]), format!("cannot start {program:?}: {missing}"));
    }
    let directory = Directory::new();
    let script = directory.write("script", "#!/no/interpreter\n");
    std::fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    let reason = verdict(&[&script]);
    let expected = ": no such file or directory: it is there, but the interpreter in its first line, or its loader, is not";
    assert_eq!(reason, format!("cannot start {script:?}{expected}"));
    assert_eq!(verdict(&["/"]), "cannot start \"/\": permission denied");
}

#[test]
fn a_command_starts_with_nothing_of_ours() {
    assert_eq!(script("kill -PIPE $$; echo ignored; exit 1"), "killed by SIGPIPE, and nothing was printed");
    assert_eq!(script("grep -q 'SigBlk:.0*$' /proc/self/status"), "ok");
    // Whatever this test was started with.
    let inherited = Command::new("ls").arg("/proc/self/fd").output().unwrap();
    let inherited = String::from_utf8(inherited.stdout).unwrap().trim_end().replace('\n', " ");
    assert_eq!(script("ls /proc/self/fd; exit 1"), format!("{inherited} (exit status 1)"));
}

#[test]
fn it_is_judged_when_it_exits_and_its_children_end_with_it() {
    let directory = Directory::new();
    let child = directory.at("child");
    assert_eq!(script(&format!("sleep 600 & echo $! >{child}; echo early; exit 1")), "early (exit status 1)");
    wait_until_gone(&child);
}

#[test]
fn a_run_that_takes_too_long_ends_with_its_whole_group() {
    let directory = Directory::new();
    let (leader, child) = (directory.at("leader"), directory.at("child"));
    let text = format!("sleep 600 & echo $! >{child}; echo $$ >{leader}; sleep 600");
    let words = serde_json::to_string(&["sh", "-c", &text]).unwrap();
    let sidecar = Sidecar::start(&[
        ("READINESS_RUN", &format!("exec:{words}")),
        ("READINESS_RUN_TIMEOUT_SECONDS", "0.5"),
        ("READINESS_RUN_FAILURE_THRESHOLD", "1"),
    ]);
    let reason = eventually("a timeout", || {
        let answer = sidecar.get("/readyz/run").body;
        (answer != "no result yet\n").then_some(answer)
    });
    assert_eq!(reason, "command timed out: \"sh\" timed out after 500ms\n");
    wait_until_gone(&leader);
    wait_until_gone(&child);
}

#[test]
fn a_flood_is_cut_and_never_blocks_the_command() {
    let reason = script("head -c 1000000 /dev/zero | tr '\\0' x; exit 1");
    assert_eq!(reason, format!("{}… (exit status 1)", "x".repeat(800)));
}

/// Waits until the process whose id is in `file` is dead, whoever reaps it.
fn wait_until_gone(file: impl AsRef<Path>) {
    let id = std::fs::read_to_string(file).unwrap();
    let stat = format!("/proc/{}/stat", id.trim());
    eventually("it is dead", || {
        let stat = std::fs::read_to_string(&stat).unwrap_or_default();
        let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
        matches!(state, None | Some('Z' | 'X')).then_some(())
    });
}
