//! The node's network: a namespace of its own, from which the kubelet's threads probe, and a pair of interfaces from
//! there into every pod. It vanishes with the test process.

use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{getpid, gettid};

/// Which addresses a pod has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Four,
    Six,
    Dual,
}

/// Connects a pod's network namespace with the node and returns the pod's addresses, the first one first.
pub fn connect(sandbox_pid: i32, family: Family) -> Vec<IpAddr> {
    static PODS: AtomicU8 = AtomicU8::new(1);
    let number = PODS.fetch_add(1, Ordering::Relaxed);
    let (outside, pod) = (format!("pod{number}"), format!("/proc/{sandbox_pid}/ns/net"));
    let node = node().display().to_string();
    ip(&node, &format!("link add {outside} type veth peer name eth0 netns {sandbox_pid}"));
    let mut addresses = Vec::new();
    if family != Family::Six {
        ip(&node, &format!("address add 10.9.{number}.1/24 dev {outside}"));
        ip(&pod, &format!("address add 10.9.{number}.2/24 dev eth0"));
        addresses.push(format!("10.9.{number}.2"));
    }
    if family != Family::Four {
        ip(&node, &format!("address add fd00:9:{number}::1/64 dev {outside} nodad"));
        ip(&pod, &format!("address add fd00:9:{number}::2/64 dev eth0 nodad"));
        addresses.push(format!("fd00:9:{number}::2"));
    }
    ip(&node, &format!("link set {outside} up"));
    ip(&pod, "link set eth0 up");
    addresses.iter().map(|address| address.parse().expect("an address")).collect()
}

/// Runs something on a thread of the node, from where pods are other machines.
pub fn spawn_on_node<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::spawn(move || {
        let node = File::open(node()).expect("the node's network");
        setns(node, CloneFlags::CLONE_NEWNET).expect("a thread may enter the node's network");
        body()
    })
}

/// Returns the node's network namespace, held open by a thread that does nothing else.
fn node() -> &'static PathBuf {
    static NODE: OnceLock<PathBuf> = OnceLock::new();
    NODE.get_or_init(|| {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("root may make a network");
            let path = format!("/proc/{}/task/{}/ns/net", getpid(), gettid());
            tell.send(PathBuf::from(path)).expect("somebody asked");
            loop {
                std::thread::park();
            }
        });
        told.recv().expect("the network is made")
    })
}

fn ip(namespace: &str, arguments: &str) {
    let output = Command::new("nsenter")
        .arg(format!("--net={namespace}"))
        .arg("ip")
        .args(arguments.split(' '))
        .output()
        .expect("nsenter runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {errors}");
}
