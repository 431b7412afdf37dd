//! Recipes of docs/recipes.md as they stand there, against the real servers that they are about: well, and gone.

mod brokers;
mod documented;
mod web;

use std::fs;
use std::os::unix::fs::chown;

use nix::unistd::{User, geteuid};
use serde_json::Value;

use crate::attempt::Directory;
use crate::expand;
use crate::servers::{Server, free_port};
use crate::sidecar::{Sidecar, eventually};

/// Returns the paragraph of the page that begins with `title`, and all that follows.
fn paragraph(title: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/recipes.md");
    let page = fs::read_to_string(path).expect("the page is there");
    let (_, rest) = page.split_once(&format!("\n**{title}")).unwrap_or_else(|| panic!("no recipe {title}"));
    rest.to_owned()
}

/// Returns the variables of the recipe that begins with `title`, as its container sees them, with ports of the test for
/// the servers' own. What comes from a Secret is `secret`.
fn recipe<const PORTS: usize>(title: &str, ports: [(u16, u16); PORTS]) -> Vec<(String, String)> {
    let rest = paragraph(title);
    let block = rest.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    let env: Vec<Value> = serde_saphyr::from_str(block).expect("a list");
    let mut variables = expand::variables(&env, "secret");
    for (own, port) in ports {
        for (_, value) in &mut variables {
            *value = value.replace(&format!(":{own}"), &format!(":{port}"));
        }
        let is_there = variables.iter().any(|(_, value)| value.contains(&format!(":{port}")));
        assert!(is_there, "{own} is not in {variables:?}");
    }
    variables
}

fn start(variables: &[(String, String)]) -> Sidecar {
    let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let quick = [
        ("READINESS_PERIOD_SECONDS", "0.2"),
        ("READINESS_FAILURE_THRESHOLD", "1"),
        ("LIVENESS_PERIOD_SECONDS", "0.2"),
        ("LIVENESS_FAILURE_THRESHOLD", "1"),
    ];
    Sidecar::start(&variables.chain(quick).collect::<Vec<_>>())
}

/// Waits until a recipe says that its server is there, and, once that is killed, that it is gone.
fn tells_of(sidecar: &Sidecar, server: Server) {
    sidecar.wait_for("/readyz", 200);
    drop(server);
    eventually("nobody listens", || {
        sidecar.get("/readyz").body.contains("connection refused by localhost:").then_some(())
    });
}

#[test]
#[ignore = "needs memcached"]
fn memcached() {
    let port = free_port();
    let sidecar = start(&recipe("memcached", [(11211, port)]));
    let user = if geteuid().is_root() { &["-u", "nobody"][..] } else { &[] };
    let port = port.to_string();
    let words = [&["-l", "127.0.0.1", "-p", &port], user].concat();
    tells_of(&sidecar, Server::start("memcached", &words));
}

#[test]
#[ignore = "needs etcd"]
fn etcd() {
    let (directory, port, peers) = (Directory::new(), free_port(), free_port());
    let sidecar = start(&recipe("etcd", [(2379, port)]));
    let (clients, peers) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peers}"));
    let words = [
        ["--data-dir", &directory.at("data")],
        ["--listen-client-urls", &clients],
        ["--advertise-client-urls", &clients],
        ["--listen-peer-urls", &peers],
    ];
    tells_of(&sidecar, Server::start("etcd", words.as_flattened()));
}

#[test]
#[ignore = "needs dnsmasq"]
fn a_name_server() {
    let port = free_port();
    let sidecar = start(&recipe("A name server", [(53, port)]));
    let words = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--listen-address=127.0.0.1",
    ];
    let user = User::from_uid(geteuid()).unwrap().expect("a user").name;
    let more =
        [format!("--port={port}"), format!("--user={user}"), "--address=/app.example/127.0.0.1".to_owned()];
    let more: Vec<_> = more.iter().map(String::as_str).collect();
    tells_of(&sidecar, Server::start("dnsmasq", &[&words[..], &more].concat()));
}

#[test]
#[ignore = "needs exim4"]
fn smtp() {
    let (directory, port) = (Directory::new(), free_port());
    let sidecar = start(&recipe("SMTP", [(25, port)]));
    // It gives up its privileges, and writes to its own directory then.
    let user = if geteuid().is_root() {
        "mail".to_owned()
    } else {
        User::from_uid(geteuid()).unwrap().expect("a user").name
    };
    let owner = User::from_name(&user).unwrap().expect("Debian has this user");
    chown(directory.path(), Some(owner.uid.as_raw()), None).unwrap();
    let path = directory.path().display();
    let configuration = format!(
        "primary_hostname = mail.example\nspool_directory = {path}\nlog_file_path = {path}/%slog\nexim_user = {user}\n\
         exim_group = {}\nnever_users =\nkeep_environment =\ntls_advertise_hosts =\nprocess_log_path = {path}/process\n",
        owner.gid
    );
    let configuration = directory.write("exim.conf", configuration);
    let listens = format!("127.0.0.1.{port}");
    let server =
        Server::start("exim4", &["-C", &configuration, "-bdf", "-oX", &listens, "-oP", &directory.at("pid")]);
    sidecar.wait_for("/readyz", 200);
    let log = fs::read_to_string(directory.at("mainlog")).unwrap();
    let noise: Vec<_> = log.lines().filter(|line| !line.contains("daemon started")).collect();
    assert_eq!(noise, [""; 0]);
    tells_of(&sidecar, server);
}
