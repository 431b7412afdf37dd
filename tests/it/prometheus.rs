//! A real Prometheus server scrapes the sidecar, and its linter has nothing to say.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use crate::app::{App, response};
use crate::classics::directory;
use crate::servers::Server;
use crate::sidecar::{Sidecar, eventually, raw};

fn sidecar(app: &App) -> Sidecar {
    let sidecar = Sidecar::start(&[
        ("LIVENESS_WEB", &app.url("/")),
        ("READINESS_DB", "tcp://127.0.0.1:1"),
        ("STARTUP_RUN", "exec:true"),
        ("READINESS_FAILURE_THRESHOLD", "1"),
    ]);
    sidecar.wait_for_log("Readiness probe failed");
    sidecar
}

#[test]
#[ignore = "needs prometheus"]
fn a_real_prometheus_knows_the_state() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let sidecar = sidecar(&app);
    let directory = directory("prometheus");
    let config = directory.join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: sidecar\n  static_configs:\n  - targets: ['{}']\n",
        sidecar.address
    );
    fs::write(&config, text).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _server = Server::spawn(
        Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address={address}")),
    );
    let answer = eventually("prometheus knows the state", || {
        let query = "GET /api/v1/query?query=health_proxy_probe_healthy HTTP/1.0\r\n\r\n";
        raw(address, query.as_bytes()).ok().filter(|answer| answer.contains("readiness"))
    });
    let json: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let state = |probe: &str| {
        let results = json["data"]["result"].as_array().unwrap();
        results.iter().find(|series| series["metric"]["probe"] == probe).unwrap()["value"][1].clone()
    };
    assert_eq!(
        (state("liveness"), state("readiness"), state("startup")),
        ("1".into(), "0".into(), "1".into())
    );
    fs::remove_dir_all(directory).unwrap();
}

#[test]
#[ignore = "needs promtool"]
fn promtool_has_no_complaint() {
    let app = App::answering(|_, _| response("200 OK", ""));
    let metrics = sidecar(&app).get("/metrics").body;
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = promtool.expect("promtool is installed");
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn every_series_exists_from_the_start() {
    let sidecar = Sidecar::start(&[
        ("READINESS_LATER", "tcp://127.0.0.1:1"),
        ("READINESS_LATER_INITIAL_DELAY_SECONDS", "3600"),
    ]);
    let labels = "check=\"later\",probe=\"readiness\"";
    for (series, value) in [
        ("health_proxy_probe_healthy{probe=\"liveness\"}".to_owned(), 1.0),
        ("health_proxy_probe_healthy{probe=\"readiness\"}".to_owned(), 0.0),
        (format!("health_proxy_check_healthy{{{labels}}}"), 0.0),
        (format!("health_proxy_check_runs_total{{{labels},result=\"success\"}}"), 0.0),
        (format!("health_proxy_check_runs_total{{{labels},result=\"failure\"}}"), 0.0),
        (format!("health_proxy_check_runs_total{{{labels},result=\"timeout\"}}"), 0.0),
        (format!("health_proxy_check_duration_seconds_count{{{labels}}}"), 0.0),
        (format!("health_proxy_check_transitions_total{{{labels},to=\"healthy\"}}"), 0.0),
        (format!("health_proxy_check_transitions_total{{{labels},to=\"unhealthy\"}}"), 0.0),
        (format!("health_proxy_check_last_success_timestamp_seconds{{{labels}}}"), 0.0),
        ("health_proxy_startup_duration_seconds".to_owned(), 0.0),
        ("health_proxy_incarnations_total".to_owned(), 1.0),
        ("health_proxy_schedule_delay_seconds_count".to_owned(), 0.0),
        ("health_proxy_http_requests_total{code=\"503\",path=\"/readyz\"}".to_owned(), 0.0),
        (format!("health_proxy_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")), 1.0),
    ] {
        assert_eq!(sidecar.metric(&series), Some(value), "{series}");
    }
    let process = sidecar.get("/metrics").body;
    for name in [
        "cpu_seconds_total",
        "max_fds",
        "open_fds",
        "resident_memory_bytes",
        "start_time_seconds",
        "threads",
        "virtual_memory_bytes",
    ] {
        assert!(process.contains(&format!("\nprocess_{name} ")), "{name}");
    }
    let of_check = process.lines().filter(|line| line.contains(labels)).count();
    assert!(of_check <= 26, "{of_check} series for a check");
}

#[test]
fn a_scrape_is_whole_however_many_checks_there_are() {
    let names: Vec<String> = (0..300).map(|number| format!("READINESS_CHECK_{number}")).collect();
    let variables: Vec<_> = names.iter().map(|name| (name.as_str(), "file:/no/such")).collect();
    let sidecar = Sidecar::start(&variables);
    let scrape = sidecar.get("/metrics");
    assert!(scrape.head.contains("transfer-encoding: chunked"), "{}", scrape.head);
    let of_checks = |line: &&str| line.contains("{check=\"check-");
    assert_eq!(scrape.body.lines().filter(of_checks).count(), 300 * 25);
    let families = scrape.body.lines().filter(|line| line.starts_with("# TYPE health_proxy_check_"));
    // All but that of TLS certificates, which no check of these has: each once, however many parts it is made of.
    assert_eq!(families.count(), 10);
    assert!(scrape.body.ends_with('\n'));
}

#[test]
fn the_time_of_a_success_changes_only_with_a_run() {
    let sidecar = Sidecar::start(&[("READINESS_A", "exec:true"), ("READINESS_A_PERIOD_SECONDS", "3600")]);
    sidecar.wait_for("/readyz", 200);
    let series = "health_proxy_check_last_success_timestamp_seconds{check=\"a\",probe=\"readiness\"}";
    let first = sidecar.metric(series);
    assert!(first.is_some_and(|at| at > 0.0));
    for _ in 0..20 {
        assert_eq!(sidecar.metric(series), first);
    }
}

#[test]
fn a_scrape_that_is_being_read_is_not_cut_off_for_those_who_say_nothing() {
    let names: Vec<String> = (0..300).map(|number| format!("READINESS_CHECK_{number}")).collect();
    let variables: Vec<_> = names.iter().map(|name| (name.as_str(), "file:/no/such")).collect();
    let sidecar = Sidecar::start(&variables);
    let mut scrape = TcpStream::connect(sidecar.address).unwrap();
    scrape.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = vec![0; 1000];
    scrape.read_exact(&mut answer).unwrap();
    let silent: Vec<_> = (0..400).map(|_| TcpStream::connect(sidecar.address).unwrap()).collect();
    assert_eq!(sidecar.get("/livez").status, 200, "all of them were taken");
    scrape.read_to_end(&mut answer).unwrap();
    assert!(answer.ends_with(b"\r\n0\r\n\r\n"), "{} bytes of it", answer.len());
    drop(silent);
}
