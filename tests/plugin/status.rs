//! `kubectl health-proxy status`: the real kubectl asks a small server that answers as an API server does.

use std::io::{BufRead, BufReader};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::api_server::{Answers, ApiServer, refusal};

const PODS: &str = "/api/v1/namespaces/shop/pods";

/// Returns a pod as the API server lists it; `sidecar` is where its sidecar says that it listens.
fn pod(name: &str, is_ready: bool, sidecar: Option<u16>) -> Value {
    let sidecar = sidecar.map(|port| {
        json!({"name": "health-proxy", "image": "health-proxy:0.2.0", "restartPolicy": "Always",
               "ports": [{"name": "health-proxy", "containerPort": port, "protocol": "TCP"}]})
    });
    let ready = if is_ready { "True" } else { "False" };
    json!({
        "metadata": {"name": name, "namespace": "shop", "uid": "1", "labels": {"app": "web"}},
        "spec": {
            "containers": [{"name": "web", "image": "web:1"}],
            "initContainers": sidecar.into_iter().collect::<Vec<_>>(),
        },
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": "PodReadyToStartContainers", "status": "True"},
                {"type": "Ready", "status": ready, "lastTransitionTime": "2026-11-25T05:00:00Z"},
            ],
        },
    })
}

fn list(pods: &[Value]) -> String {
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": pods})
        .to_string()
}

/// Returns a sidecar's document: the reasons for which readiness fails.
fn document(reasons: &[(&str, &str)]) -> Value {
    let reasons: Vec<_> =
        reasons.iter().map(|(check, reason)| json!({"check": check, "reason": reason})).collect();
    let probe = |name: &str, reasons: &[Value]| json!({"probe": name, "passes": reasons.is_empty(), "since": 1000.0, "reasons": reasons});
    json!({
        "version": "0.2.0", "host": "web", "now": 1192.0, "healthy": true, "details": true,
        "probes": [probe("liveness", &[]), probe("readiness", &reasons), probe("startup", &[])],
        "containers": [], "checks": [], "what_a_later_version_adds": 1,
    })
}

fn proxy(pod: &str, port: u16) -> String {
    format!("{PODS}/{pod}:{port}/proxy/status")
}

fn server(pods: &[Value], documents: &[(String, (u16, String))]) -> ApiServer {
    let mut answers: Answers = documents.iter().cloned().collect();
    answers.insert(PODS.to_owned(), (200, list(pods)));
    ApiServer::start(answers)
}

fn says(pod: &str, port: u16, document: &Value) -> (String, (u16, String)) {
    (proxy(pod, port), (200, document.to_string()))
}

#[test]
#[ignore = "needs kubectl"]
fn one_table_failing_first_with_reasons() {
    let mut pulling = pod("e-new", false, Some(9809));
    pulling["status"]["phase"] = "Pending".into();
    pulling["status"]["containerStatuses"] =
        json!([{"name": "web", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]);
    let mut ended = pod("f-job", false, Some(9809));
    ended["status"]["phase"] = "Succeeded".into();
    let pods = [
        pod("a-well", true, Some(9809)),
        pod("b-failing", false, Some(81)),
        pod("c-plain", true, None),
        pod("d-closed", true, Some(9809)),
        pulling,
        ended,
    ];
    let failing = document(&[("db", "connection refused"), ("cache", "timeout: no answer within 1s")]);
    let refused = "error trying to reach service: dial tcp 10.244.0.7:9809: connect: connection refused";
    let server = server(
        &pods,
        &[
            says("a-well", 9809, &document(&[])),
            says("b-failing", 81, &failing),
            (proxy("d-closed", 9809), (503, refusal(503, "ServiceUnavailable", refused))),
        ],
    );
    let run = server.status(&[]);
    assert_eq!(
        run.out,
        "POD        READY  LIVE  STARTED  FOR     REASON\n\
         e-new      no     -     -                Pending: ImagePullBackOff\n\
         b-failing  no     yes   yes      3m 12s  readiness: db: connection refused\n                                 \
         3m 12s  readiness: cache: timeout: no answer within 1s\n\
         d-closed   yes    -     -                cannot be asked: Error from server (ServiceUnavailable): error \
         trying to reach service: dial tcp 10.244.0.7:9809: connect: connection refused\n\
         a-well     yes    yes   yes      3m 12s\n\
         c-plain    yes    -     -                no sidecar\n\
         f-job      -      -     -                ended\n",
        "{}",
        run.err
    );
    assert_eq!(run.code, 1);
}

#[test]
#[ignore = "needs kubectl"]
fn all_is_well() {
    let server = server(&[pod("a", true, Some(9809))], &[says("a", 9809, &document(&[]))]);
    assert_eq!(server.status(&[]).code, 0);
    server.set(&format!("{PODS}/a"), &pod("a", true, Some(9809)));
    let one = server.status(&["a"]);
    assert_eq!((one.code, one.out.lines().count()), (0, 2), "{}", one.err);
    server.set(&format!("{PODS}?labelSelector=app%3Dweb"), &json!({"items": [pod("b", true, None)]}));
    assert!(server.status(&["-l", "app=web"]).out.contains("b    yes"));
    server.set("/api/v1/namespaces/other/pods", &json!({"items": []}));
    let none = server.status(&["-n", "other"]);
    assert_eq!((none.code, none.out.as_str()), (0, "no pods\n"));
    server.set("/api/v1/namespaces/default/pods", &json!({"items": [pod("c", true, None)]}));
    assert!(server.status(&["--context", "other"]).out.contains("c    yes"));
    server.set("/api/v1/pods", &json!({"items": [pod("a", true, Some(9809))]}));
    let all = server.status(&["-A"]).out;
    assert!(all.starts_with("NAMESPACE  POD  READY") && all.contains("shop       a    yes"), "{all}");
}

#[test]
#[ignore = "needs kubectl"]
fn a_sidecar_is_asked_where_it_listens() {
    let mut declares_none = pod("a", true, Some(81));
    let sidecar = &mut declares_none["spec"]["initContainers"][0];
    sidecar["ports"] = json!([]);
    sidecar["env"] = json!([{"name": "HEALTH_PROXY_LISTEN", "value": "[::]:19999"}]);
    let mut declares_other = pod("b", true, Some(81));
    declares_other["spec"]["initContainers"][0]["env"] = json!([{"name": "LIVENESS_A", "value": "tcp://:1"}, {"name": "HEALTH_PROXY_LISTEN", "value": "0.0.0.0:82"}]);
    let mut refers = pod("c", true, Some(83));
    refers["spec"]["initContainers"][0]["env"] =
        json!([{"name": "HEALTH_PROXY_LISTEN", "value": "[::]:$(PORT)"}]);
    let answers = [("a", 19999), ("b", 82), ("c", 83)].map(|(pod, port)| says(pod, port, &document(&[])));
    let run = server(&[declares_none, declares_other, refers], &answers).status(&[]);
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    assert!(!run.out.contains("cannot be asked"), "{}", run.out);
}

#[test]
#[ignore = "needs kubectl"]
fn a_sidecar_that_says_other_than_the_kubelet_is_believed_in_what_fails() {
    let documents = [says("a", 9809, &document(&[("drain", "draining")])), says("b", 9809, &document(&[]))];
    let server = server(&[pod("a", true, Some(9809)), pod("b", false, Some(9809))], &documents);
    let run = server.status(&[]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("readiness: drain: draining"), "{}", run.out);
    assert!(run.out.contains("the sidecar says ready, and the kubelet does not"), "{}", run.out);
}

#[test]
#[ignore = "needs kubectl"]
fn json_holds_the_whole_documents() {
    let failing = document(&[("db", "down")]);
    let server = server(&[pod("a", false, Some(9809)), pod("b", true, None)], &[says("a", 9809, &failing)]);
    let run = server.status(&["-o", "json"]);
    let pods: Value = serde_json::from_str(&run.out).expect("JSON");
    assert_eq!(run.code, 1);
    assert_eq!(pods[0]["sidecar"], failing);
    assert_eq!(
        pods[1],
        json!({"namespace": "shop", "name": "b", "ready": true, "ready_condition": true, "sidecar": null,
               "error": "no sidecar"})
    );
}

#[test]
#[ignore = "needs kubectl"]
fn what_is_not_allowed_is_said_with_what_it_takes() {
    let forbidden = "pods \"a:9809\" is forbidden: User \"dev\" cannot get resource \"pods/proxy\" in API group \"\" \
                     in the namespace \"shop\"";
    let server = server(
        &[pod("a", true, Some(9809))],
        &[(proxy("a", 9809), (403, refusal(403, "Forbidden", forbidden)))],
    );
    let run = server.status(&[]);
    assert_eq!(run.code, 0, "the kubelet says ready: {}", run.out);
    assert!(run.out.contains("cannot get resource \"pods/proxy\""), "{}", run.out);
    assert!(run.out.trim_end().ends_with("it takes the right to get pods/proxy"), "{}", run.out);
    let elsewhere = server.status(&["-n", "secret"]);
    assert_eq!(elsewhere.code, 2);
    assert!(elsewhere.err.contains("nothing at /api/v1/namespaces/secret/pods"), "{}", elsewhere.err);
}

#[test]
#[ignore = "needs kubectl"]
fn many_pods_are_asked_sixteen_at_a_time() {
    let names: Vec<_> = (0..40).map(|number| format!("web-{number:03}")).collect();
    let pods: Vec<_> = names.iter().map(|name| pod(name, true, Some(9809))).collect();
    let documents: Vec<_> = names.iter().map(|name| says(name, 9809, &document(&[]))).collect();
    let server = server(&pods, &documents);
    server.want_a_crowd(16);
    let run = server.status(&[]);
    assert_eq!((run.code, run.out.lines().count()), (0, 41), "{}", run.err);
    assert!(!run.out.contains("cannot be asked"), "{}", run.out);
    assert_eq!(server.most(), 16);
}

#[test]
#[ignore = "needs kubectl"]
fn a_cluster_that_is_watched_shows_what_changes() {
    let server = server(&[pod("a", true, Some(9809))], &[says("a", 9809, &document(&[]))]);
    let mut child = server.watch(&[]);
    let mut lines =
        BufReader::new(child.stdout.take().expect("a pipe")).lines().map(|line| line.expect("a line"));
    assert!(lines.any(|line| line.starts_with("a    yes")));
    server.set(&proxy("a", 9809), &document(&[("db", "down")]));
    assert!(lines.any(|line| line.contains("readiness: db: down")));
    let group = Pid::from_raw(i32::try_from(child.id()).expect("a process"));
    killpg(group, Signal::SIGKILL).expect("it watches on");
    child.wait().expect("it ends");
}

#[test]
#[ignore = "needs kubectl"]
fn wrong_words_say_what_is_right() {
    let server = server(&[], &[]);
    for (words, expected) in [
        (&["a", "b"][..], "b: one name, or a selector with -l"),
        (&["a", "-l", "x"], "a name or a selector (-l), not both"),
        (&["a", "-A"], "a name is one of a namespace: -n, not -A"),
        (&["-o", "yaml"], "-o yaml: accepted: json"),
        (&["--wide"], "no such option: --wide; see --help"),
    ] {
        let run = server.status(words);
        assert_eq!(run.code, 2, "{words:?}");
        assert!(run.err.contains(expected), "{words:?}: {}", run.err);
    }
}
