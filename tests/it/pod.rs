//! A pod whose containers share their process namespace: namespaces, roots and users as a runtime makes them.
//!
//! It needs root, as a container runtime does.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::attempt::Directory;
use crate::sidecar::{BINARY, eventually};

/// The app of every container.
pub const APP: &str = "my-app";

/// The files of all containers, and the process that holds the pod's process namespace.
pub struct Pod {
    files: Directory,
    pause: Child,
}

/// A main container; it ends with this value, and all that runs in it.
pub struct Container {
    child: Child,
}

impl Pod {
    pub fn new() -> Self {
        let files = Directory::new();
        // Others than root walk through it.
        fs::set_permissions(files.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let binary = files.path().join("health-proxy");
        fs::copy(BINARY, &binary).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        let unshare =
            ["--mount", "--pid", "--fork", "--mount-proc", "--kill-child=KILL", "sleep", "infinity"];
        let pause = Command::new("unshare").args(unshare).stdin(Stdio::null()).spawn();
        let pod = Self { files, pause: pause.expect("unshare is needed, and to be root") };
        pod.inside();
        pod
    }

    /// Returns the id of the first process of the pod.
    fn inside(&self) -> String {
        let id = self.pause.id();
        eventually("the pod is there", || {
            let child = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
            let child = child.trim().to_owned();
            let comm = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
            (comm.trim() == "sleep").then_some(child)
        })
    }

    /// Returns a command in the pod, in no container yet.
    fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.inside(), "--pid", "--mount"]).stdin(Stdio::null());
        command
    }

    /// Returns the path of a file in the root of the container `name`.
    pub fn path(&self, name: &str, path: &str) -> String {
        self.files.at(&format!("{name}/{path}"))
    }

    /// Lays out the root of a container: busybox, a working directory, and `/var/run` as distributions have it.
    pub fn root(&self, name: &str) {
        for directory in ["bin", "run", "var", "work", "tmp"] {
            fs::create_dir_all(self.path(name, directory)).unwrap();
        }
        fs::copy("/bin/busybox", self.path(name, "bin/busybox")).expect("busybox-static is needed");
        for applet in ["sh", "ls", "sleep", "cat", "env", "id", "pwd", "grep", "chroot", "ln"] {
            symlink("busybox", self.path(name, &format!("bin/{applet}"))).unwrap();
        }
        symlink("/run", self.path(name, "var/run")).unwrap();
        let script = self.path(name, &format!("bin/{APP}"));
        fs::write(&script, "#!/bin/sh\ncd /work\nwhile true; do sleep 1000; done\n").unwrap();
        for path in [script, self.path(name, ""), self.path(name, "work")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// Starts `program` in the container `name` as `user`, with a mount namespace of its own.
    pub fn start(&self, name: &str, user: u32) -> Container {
        let (root, user) = (self.files.at(name), format!("--userspec={user}:{user}"));
        let variables = ["env", "-i", "PATH=/bin", "IN_APP=yes"];
        let chroot = ["/usr/sbin/chroot", &user, "--groups=4242", &root, "/bin/my-app"];
        self.run_app(&[&variables[..], &chroot].concat())
    }

    /// Starts a container as root without a single capability.
    pub fn start_powerless(&self, name: &str) -> Container {
        let root = format!("--chroot={}", self.files.at(name));
        self.run_app(&["/usr/sbin/capsh", &root, "--drop=all", "--shell=/bin/my-app", "--"])
    }

    fn run_app(&self, way: &[&str]) -> Container {
        let mut command = self.command();
        command.args(["unshare", "--mount"]).args(way);
        let child = command.stdout(Stdio::null()).spawn().expect("nsenter and unshare are needed");
        let container = Container { child };
        eventually("the app runs", || container.processes().iter().any(|&id| is_app(id)).then_some(()));
        container
    }

    /// Returns the command lines in the pod that match `pattern`, which does not match itself.
    pub fn runs(&self, pattern: &str) -> String {
        let script = format!("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -o '{pattern}'");
        let output = self.command().args(["sh", "-c", &script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Returns a command of the sidecar in its container, with the options of setpriv that make its securityContext.
    pub fn sidecar(&self, privileges: &[&str], arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = self.command();
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(["--", "setpriv"]);
        command.args(privileges).arg(self.files.at("health-proxy")).args(arguments);
        command.envs(variables.iter().copied());
        command
    }

    /// Runs a readiness check once as the command line does: whether it passes, and the last column.
    pub fn check(&self, privileges: &[&str], target: &str, process: &str) -> (bool, String) {
        let variables = [("READINESS_A", target), ("READINESS_A_IN_PROCESS", process)];
        let output = self.sidecar(privileges, &["check"], &variables).output().unwrap();
        let table = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        let row = table.lines().nth(1).unwrap_or_else(|| panic!("no table: {errors}"));
        let reason = row.split_once(target).unwrap().1.trim();
        (output.status.success(), reason.to_owned())
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        end(&mut self.pause);
    }
}

impl Container {
    /// Returns what runs in it, and the processes that started it.
    fn processes(&self) -> Vec<i32> {
        let mut found = vec![i32::try_from(self.child.id()).unwrap()];
        let mut index = 0;
        while let Some(id) = found.get(index) {
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
            found.extend(children.split_whitespace().map(|id| id.parse::<i32>().unwrap()));
            index += 1;
        }
        found
    }
}

/// Returns whether it has become the script of a container.
fn is_app(id: i32) -> bool {
    fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == APP)
}

impl Drop for Container {
    fn drop(&mut self) {
        for id in self.processes().into_iter().skip(1) {
            let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
        }
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Makes an empty file.
pub fn touch(path: impl AsRef<Path>) {
    fs::write(path, "").unwrap();
}
