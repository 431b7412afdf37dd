//! Brokers and those who work for them.

use std::fs;
use std::process::Command;

use super::{Directory, Server, eventually, free_port, paragraph, recipe, start, tells_of};
use crate::servers::{python, python_server};

#[test]
#[ignore = "needs rabbitmq"]
fn rabbitmq() {
    let (directory, amqp, management) = (Directory::new(), free_port(), free_port());
    let (distribution, names) = (free_port().to_string(), free_port().to_string());
    let variables = recipe("RabbitMQ", [(5672, amqp), (15672, management)]);
    let plugins = directory.write("plugins", "[rabbitmq_management].");
    let configuration = format!(
        "listeners.tcp.1 = 127.0.0.1:{amqp}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\n\
         default_user = probe\ndefault_pass = secret\ndefault_user_tags.monitoring = true\n"
    );
    let configuration = directory.write("rabbitmq.conf", configuration);
    // Its node would start one that stays behind.
    let names_of_nodes = [("ERL_EPMD_PORT", names.as_str()), ("ERL_EPMD_ADDRESS", "127.0.0.1")];
    let _epmd = Server::spawn(Command::new("epmd").envs(names_of_nodes));
    // Debian's own command changes the user; and only a service manager's one is the broker itself.
    let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmq-server");
    command.env_clear().envs(names_of_nodes).envs([
        ("PATH", env!("PATH")),
        ("HOME", &directory.at("")),
        ("RUNNING_UNDER_SYSTEMD", "true"),
        ("RABBITMQ_CONF_ENV_FILE", "/dev/null"),
        ("RABBITMQ_CONFIG_FILE", &configuration),
        ("RABBITMQ_DIST_PORT", &distribution),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", &plugins),
        ("RABBITMQ_LOG_BASE", &directory.at("log")),
        ("RABBITMQ_MNESIA_BASE", &directory.at("data")),
        ("RABBITMQ_NODENAME", "recipe@localhost"),
    ]);
    let server = Server::spawn(&mut command);
    let sidecar = start(&variables);
    sidecar.wait_for("/livez", 200);
    tells_of(&sidecar, server);
    sidecar.wait_for("/livez", 503);
}

#[test]
#[ignore = "needs zookeeper"]
fn zookeeper() {
    let (directory, port) = (Directory::new(), free_port());
    let configuration = format!(
        "clientPort={port}\nclientPortAddress=127.0.0.1\ndataDir={}\nadmin.enableServer=false\n",
        directory.at("data")
    );
    let configuration = directory.write("zoo.cfg", configuration);
    let server =
        ["-cp", "/usr/share/java/zookeeper.jar", "org.apache.zookeeper.server.quorum.QuorumPeerMain"];
    let server = Server::start("java", &[&server[..], &[&configuration]].concat());
    tells_of(&start(&recipe("ZooKeeper", [(2181, port)])), server);
}

/// Kafka's own broker is in no registry from which the tests install: this one is the broker of its C client.
#[test]
#[ignore = "needs confluent-kafka"]
fn kafka() {
    let script = "import signal; from confluent_kafka import Producer\n\
                  cluster = Producer({'test.mock.num.brokers': 1, 'log_level': 0})\n\
                  print(cluster.list_topics(timeout=60).brokers[1].port, flush=True); signal.pause()";
    let (server, port) = python_server(&["-c", script]);
    tells_of(&start(&recipe("Kafka", [(9092, port)])), server);
}

#[test]
#[ignore = "needs celery"]
fn celery() {
    let (directory, port) = (Directory::new(), free_port());
    let redis =
        Server::start("redis-server", &["--port", &port.to_string(), "--save", "", "--bind", "127.0.0.1"]);
    let heartbeat = directory.at("heartbeat");
    let paragraph = paragraph("A worker without a port");
    let beats = paragraph.split('`').find(|code| code.contains("heartbeat_sent")).expect("a line of code");
    let app = format!(
        "import pathlib\nimport celery\nimport celery.signals\n\
         app = celery.Celery(broker=\"redis://127.0.0.1:{port}\")\n{}\n",
        beats.replace("/run/app/heartbeat", &heartbeat)
    );
    directory.write("app.py", app);
    let mut command = python();
    let worker = Server::spawn(
        command.args(["-m", "celery", "--app=app", "worker", "--pool=solo"]).current_dir(directory.path()),
    );
    let mut variables = recipe("A worker without a port", []);
    for (name, value) in &mut variables {
        *value = value.replace("/run/app/heartbeat", &heartbeat);
        if name.ends_with("_MAX_AGE_SECONDS") {
            "4".clone_into(value);
        }
    }
    let sidecar = start(&variables);
    let beat = || fs::metadata(&heartbeat).and_then(|file| file.modified()).ok();
    let first = eventually("it beats", beat);
    eventually("it beats again", || beat().filter(|again| *again > first));
    sidecar.wait_for("/livez", 200);
    drop(worker);
    sidecar.wait_for("/livez", 503);
    drop(redis);
}
