//! `_IN_PROCESS`: checks inside the container of the app, with as little privilege as each of them needs.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use crate::pod::{Pod, touch};
use crate::sidecar::{Sidecar, eventually};

/// User 1000 without any capability, as the Pod Security Standard `restricted` wants it.
const RESTRICTED: [&str; 4] = ["--reuid=1000", "--regid=1000", "--clear-groups", "--no-new-privs"];

const ROOT: [&str; 0] = [];

/// Returns root with nothing but the named capabilities.
fn root_with(capabilities: &str) -> [String; 1] {
    let kept = if capabilities.is_empty() { String::new() } else { format!(",{capabilities}") };
    [format!("--bounding-set=-all{kept}")]
}

fn pass(reason: &str) -> (bool, String) {
    (true, reason.to_owned())
}

#[test]
#[ignore = "needs root and busybox-static"]
fn files_of_the_same_user_need_no_privilege() {
    let pod = Pod::new();
    pod.root("app");
    let _app = pod.start("app", 1000);
    let check = |target: &str| pod.check(&RESTRICTED, target, "my-app");
    assert_eq!(check("file:/run/ready"), (false, "/run/ready: no such file or directory".to_owned()));
    touch(pod.path("app", "run/ready"));
    assert_eq!(check("file:/run/ready"), pass(""));
    // An absolute link leads to where it leads for the app, not to our own /run.
    assert_eq!(check("file:/var/run/ready"), pass(""));
    assert_eq!(check("file:/var/run/../../../run/ready"), pass(""));
    assert!(!check(&format!("file:{}", pod.path("app", "run/ready"))).0);
}

#[test]
#[ignore = "needs root and busybox-static"]
fn sockets_of_the_same_user_need_no_privilege() {
    let pod = Pod::new();
    pod.root("app");
    let _app = pod.start("app", 1000);
    let path = pod.path("app", "run/app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        }
    });
    assert_eq!(pod.check(&RESTRICTED, "unix:/var/run/app.sock", "my-app"), pass(""));
    assert_eq!(pod.check(&RESTRICTED, "http+unix://%2Frun%2Fapp.sock/", "my-app"), pass(""));
    let missing = pod.check(&RESTRICTED, "unix:/run/none.sock", "my-app");
    assert_eq!(missing, (false, "/run/none.sock: no such file or directory".to_owned()));
}

#[test]
#[ignore = "needs root and busybox-static"]
fn a_command_has_the_files_the_directory_the_variables_and_the_user_of_the_app() {
    let pod = Pod::new();
    pod.root("app");
    touch(pod.path("app", "run/ready"));
    let _app = pod.start("app", 1000);
    let script = "exec:sh -c 'pwd; env; id -u; id -g; id -G; ls /run; exit 3'";
    let (passed, text) = pod.check(&ROOT, script, "my-app");
    assert!(!passed);
    let text = text.strip_suffix(" (exit status 3)").expect("how it ended");
    let mut words: Vec<_> = text.split(' ').collect();
    words.sort_unstable();
    let expected = ["/work", "1000", "1000", "1000", "4242", "IN_APP=yes", "PATH=/bin", "PWD=/work", "ready"];
    let words: Vec<_> = words.into_iter().filter(|word| !word.starts_with("SHLVL=")).collect();
    assert_eq!(words, expected);
    assert_eq!(pod.check(&ROOT, "exec:ls /var/run/ready", "my-app"), pass(""));
    let missing = pod.check(&ROOT, "exec:nonesuch", "my-app");
    let reason = "cannot start \"nonesuch\" in the container of \"my-app\": no such file or directory";
    assert_eq!(missing, (false, reason.to_owned()));
    // Its files are not there.
    assert!(!pod.check(&ROOT, "exec:ls /usr/bin/unshare", "my-app").0);
}

#[test]
#[ignore = "needs root and busybox-static"]
fn the_least_privileges_that_work_and_the_reasons_of_those_that_do_not() {
    let pod = Pod::new();
    pod.root("app");
    touch(pod.path("app", "run/ready"));
    let _app = pod.start("app", 1000);
    let check = |privileges: &[String], target: &str| {
        let privileges: Vec<&str> = privileges.iter().map(String::as_str).collect();
        pod.check(&privileges, target, "my-app")
    };
    // Another user, and no SYS_PTRACE.
    for target in ["file:/run/ready", "exec:ls /run/ready"] {
        let (passed, reason) = check(&root_with("+sys_chroot"), target);
        assert!(!passed);
        let remedy = "it runs as user 1000 and the sidecar as user 0; set runAsUser: 1000 in the sidecar's \
                      securityContext, or add the capability SYS_PTRACE";
        assert!(
            reason.starts_with("no permission to look into the container of \"my-app\" (process "),
            "{reason}"
        );
        assert!(reason.ends_with(remedy), "{reason}");
    }
    let all = root_with("+sys_ptrace,+sys_chroot,+setuid,+setgid,+kill");
    assert_eq!(check(&all, "exec:ls /run/ready"), pass(""));
    assert_eq!(check(&all, "exec:sh -c 'id -u; exit 1'"), (false, "1000 (exit status 1)".to_owned()));
    for missing in ["setuid", "setgid", "kill"] {
        let all = "+sys_ptrace,+sys_chroot,+setuid,+setgid,+kill";
        let without = check(&root_with(&all.replace(&format!(",+{missing}"), "")), "exec:ls /run/ready");
        let reason = "no permission to run commands as user 1000, as \"my-app\" does: add the capabilities KILL, \
                      SETGID and SETUID in the sidecar's securityContext";
        assert_eq!(without, (false, reason.to_owned()));
    }
    assert_eq!(check(&root_with("+sys_ptrace"), "file:/run/ready"), pass(""));
    // The same user, without SYS_CHROOT.
    let restricted: Vec<String> = RESTRICTED.iter().map(ToString::to_string).collect();
    let (passed, reason) = check(&restricted, "exec:ls /run/ready");
    assert!(!passed && reason.contains("add the capability SYS_CHROOT"), "{reason}");
}

#[test]
#[ignore = "needs root and busybox-static"]
fn a_command_that_hangs_is_ended_whoever_it_runs_as() {
    let pod = Pod::new();
    pod.root("app");
    let _app = pod.start("app", 1000);
    let variables = [
        ("READINESS_A", "exec:sh -c 'sleep 77777 & sleep 77777'"),
        ("READINESS_A_IN_PROCESS", "my-app"),
        ("READINESS_A_TIMEOUT_SECONDS", "0.3"),
    ];
    let privileges = root_with("+sys_ptrace,+sys_chroot,+setuid,+setgid,+kill");
    let output = pod.sidecar(&[&privileges[0]], &["check"], &variables).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("command timed out: \"sh\" timed out after 300ms"), "{table}");
    eventually("nothing is left", || pod.runs("sleep 7777[7]").is_empty().then_some(()));
}

#[test]
#[ignore = "needs root and busybox-static"]
fn root_beside_root_needs_sys_chroot_alone_and_the_command_gets_no_more_than_the_app_has() {
    let pod = Pod::new();
    pod.root("app");
    let app = pod.start_powerless("app");
    let chroot = root_with("+sys_chroot");
    let privileges: Vec<&str> = chroot.iter().map(String::as_str).collect();
    assert_eq!(pod.check(&privileges, "exec:ls /work", "my-app"), pass(""));
    drop(app);
    // Leaving the container by another chroot is for nobody.
    let _app = pod.start("app", 0);
    let escape = pod.check(&ROOT, "exec:chroot / ls", "my-app");
    let reason = "chroot: can't change root directory to '/': Operation not permitted (exit status 1)";
    assert_eq!(escape, (false, reason.to_owned()));
}

#[test]
#[ignore = "needs root and busybox-static"]
fn no_process_several_and_one_with_children() {
    let pod = Pod::new();
    pod.root("app");
    pod.root("other");
    touch(pod.path("app", "run/ready"));
    let none = pod.check(&ROOT, "file:/run/ready", "nobody");
    assert_eq!(none, (false, "no process named \"nobody\": it has ended, or has not started yet".to_owned()));
    let _app = pod.start("app", 0);
    assert_eq!(pod.check(&ROOT, "file:/run/ready", "my-app"), pass(""));
    let other = pod.start("other", 0);
    let (passed, reason) = eventually("both run", || {
        let (passed, reason) = pod.check(&ROOT, "file:/run/ready", "my-app");
        reason.starts_with("several").then_some((passed, reason))
    });
    assert!(!passed);
    let expected = "several processes named \"my-app\" in different containers: ";
    assert!(
        reason.starts_with(expected) && reason.contains("give READINESS_A_IN_PROCESS a name"),
        "{reason}"
    );
    drop(other);
    eventually("one is left", || pod.check(&ROOT, "file:/run/ready", "my-app").0.then_some(()));
}

#[test]
#[ignore = "needs root and busybox-static"]
fn a_sidecar_that_sees_itself_alone_says_what_to_set() {
    let sidecar_alone = ["--pid", "--fork", "--mount-proc", crate::sidecar::BINARY, "check"];
    let output = std::process::Command::new("unshare")
        .args(sidecar_alone)
        .env_clear()
        .envs([("READINESS_A", "file:/x"), ("READINESS_A_IN_PROCESS", "my-app")])
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let expected =
        "the sidecar sees its own processes alone; set shareProcessNamespace: true in the pod's spec";
    assert!(table.contains(expected), "{table}");
}

#[test]
#[ignore = "needs root and busybox-static"]
fn another_process_begins_a_new_incarnation() {
    let pod = Pod::new();
    pod.root("app");
    touch(pod.path("app", "run/alive"));
    let variables = [
        ("HEALTH_PROXY_LISTEN", "127.0.0.1:0"),
        ("LIVENESS_A", "file:/run/alive"),
        ("LIVENESS_A_IN_PROCESS", "my-app"),
        ("LIVENESS_A_PERIOD_SECONDS", "0.1"),
        ("LIVENESS_A_FAILURE_THRESHOLD", "2"),
        ("READINESS_B", "exec:ls /run/alive"),
        ("READINESS_B_IN_PROCESS", "my-app"),
        ("READINESS_B_PERIOD_SECONDS", "0.1"),
    ];
    let app = pod.start("app", 0);
    let mut command = pod.sidecar(&ROOT, &[], &variables);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let sidecar = Sidecar::spawn(&mut command);
    sidecar.wait_for("/readyz", 200);
    std::fs::remove_file(pod.path("app", "run/alive")).unwrap();
    sidecar.wait_for("/livez", 503);
    assert_eq!(sidecar.metric("health_proxy_incarnations_total"), Some(1.0));
    drop(app);
    let body = sidecar.wait_for("/livez", 503);
    assert!(body.contains("[-]a failed"), "{body}");
    touch(pod.path("app", "run/alive"));
    let _app = pod.start("app", 0);
    sidecar.wait_for_log("a socket or process of the container is a different one");
    sidecar.wait_for("/livez", 200);
    sidecar.wait_for("/readyz", 200);
    assert_eq!(sidecar.metric("health_proxy_incarnations_total"), Some(2.0));
}

#[test]
#[ignore = "needs root and busybox-static"]
fn a_file_that_may_not_be_looked_at() {
    let pod = Pod::new();
    pod.root("app");
    let closed = pod.path("app", "closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    touch(pod.path("app", "closed/ready"));
    let _app = pod.start("app", 1000);
    let inside = pod.check(&RESTRICTED, "file:/closed/ready", "my-app");
    assert_eq!(inside, (false, "/closed/ready: permission denied".to_owned()));
    let target = format!("file:{closed}/ready");
    let output = pod.sidecar(&RESTRICTED, &["check"], &[("READINESS_A", &target)]).output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains(&format!("{closed}/ready: permission denied")), "{table}");
}
