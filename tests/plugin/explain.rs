//! `explain`: what it says of manifests that were never ours, and of wiring that is dangerous.

use crate::program::{filtered, manifest, manifests, run};

/// Returns a pod of a main container with `fields`, and of a sidecar with `sidecar`.
fn pod(fields: &str, sidecar: &str) -> String {
    let base = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n";
    format!("{base}  containers:\n  - {{name: web, image: web:1, {fields}}}\n{sidecar}")
}

/// Returns a pod whose sidecar has these variables and other fields.
fn wired(fields: &str, env: &str, more: &str) -> String {
    let sidecar = format!(
        "  initContainers:\n  - name: health-proxy\n    image: health-proxy:0.2.0\n    restartPolicy: Always\n    \
         ports: [{{name: health-proxy, containerPort: 9809}}]\n    env:\n{env}{more}"
    );
    pod(fields, &sidecar)
}

fn variable(name: &str, value: &str) -> String {
    format!("    - {{name: {name}, value: \"{value}\"}}\n")
}

const STARTUP: &str =
    "startupProbe: {httpGet: {path: \"/startupz?wait=9\", port: 9809}, periodSeconds: 1, timeoutSeconds: 10}";
const LIVENESS: &str =
    "livenessProbe: {httpGet: {path: /livez, port: 9809}, periodSeconds: 5, failureThreshold: 4}";

/// Returns everything that is called dangerous, without its line.
fn dangers(text: &str) -> Vec<String> {
    let run = run(&["explain"], text);
    let dangers: Vec<_> =
        run.out.lines().filter_map(|line| line.trim_start().strip_prefix("danger, line ")).collect();
    assert_eq!(run.code, i32::from(!dangers.is_empty()), "{}\n{}", run.out, run.err);
    dangers.iter().map(|danger| danger.split_once(": ").expect("a text").1.to_owned()).collect()
}

#[test]
fn times_of_a_manifest_that_was_never_ours() {
    let text = filtered(&["explain"], &manifest("two-containers.yaml"));
    assert_eq!(
        text,
        "-: Deployment front-and-back\n  \
         front: livenessProbe native, readinessProbe native\n    \
         restarted at most 31 s after it stops answering\n    \
         out of traffic at most 31 s after it stops answering\n    \
         in traffic at most 10 s after it answers\n    \
         restarted at most 30 s after it starts and never answers\n  \
         back: livenessProbe native, readinessProbe native\n    \
         restarted at most 61 s after it stops answering\n    \
         out of traffic at most 31 s after it stops answering\n    \
         in traffic at most 10 s after it answers\n    \
         restarted at most 60 s after it starts and never answers\n"
    );
}

#[test]
fn inject_tells_the_times_before_and_after() {
    let run = run(&["inject"], &manifest("slow-start.yaml"));
    assert_eq!(
        run.err,
        "-: Deployment slow\n  \
         slow: startupProbe moved, livenessProbe moved\n    \
         restarted at most 51 s after it stops answering (31 s before)\n    \
         in traffic at most 1 s after it answers (10 s before)\n    \
         restarted at most 909 s after it starts and never answers (900 s before)\n"
    );
}

/// What is shipped, and what `inject` makes, is never dangerous.
#[test]
fn what_inject_makes_is_not_dangerous() {
    for (name, text) in manifests() {
        let before = dangers(&text);
        let after = dangers(&filtered(&["inject"], &text));
        assert_eq!(after, before, "{name}");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/k8s/examples/deployment.yaml");
    assert_eq!(dangers(&std::fs::read_to_string(path).expect("the example")), [""; 0]);
}

#[test]
fn ports_that_nobody_or_another_has() {
    let unknown = pod("livenessProbe: {httpGet: {port: http}}", "");
    assert_eq!(
        dangers(&unknown),
        ["livenessProbe of web: the container has no port called http, so that it always fails"]
    );
    let other = "  - {name: db, image: db:1, ports: [{containerPort: 5432}]}\n";
    assert_eq!(
        dangers(&pod("livenessProbe: {tcpSocket: {port: 5432}}", other)),
        ["livenessProbe of web asks port 5432 of db: web is restarted when that one fails"]
    );
    assert_eq!(dangers(&pod("readinessProbe: {tcpSocket: {port: 5432}}", other)), [""; 0]);
    let twice =
        "  - {name: db, image: db:1, ports: [{containerPort: 80}, {containerPort: 80, protocol: UDP}]}\n";
    assert_eq!(
        dangers(&pod("ports: [{containerPort: 80}]", twice)),
        ["port 80 is declared by web and by db: they share one network, and only one can listen"]
    );
}

#[test]
fn a_sidecar_that_waits_for_the_app_that_waits_for_it() {
    let native = "  initContainers:\n  - {name: proxy, image: proxy:1, restartPolicy: Always, startupProbe: {tcpSocket: {port: 80}}}\n";
    assert_eq!(
        dangers(&pod("ports: [{containerPort: 80}]", native)),
        ["startupProbe of proxy asks port 80 of web, which is started only after it has passed: a deadlock"]
    );
    let app = format!("{STARTUP}, {LIVENESS}");
    let env = variable("LIVENESS_WEB", "tcp://:80");
    let own = "    startupProbe: {httpGet: {path: /readyz, port: 9809}}\n";
    assert_eq!(
        dangers(&wired(&app, &env, own)),
        ["startupProbe of the sidecar asks /readyz: the app is started only after it has passed: a deadlock"]
    );
    let hook =
        "    lifecycle: {postStart: {exec: {command: [/health-proxy, get, readyz, --wait, \"10\"]}}}\n";
    assert_eq!(
        dangers(&wired(&app, &env, hook)),
        ["postStart of the sidecar waits for the app, which is started only after it has ended: a deadlock"]
    );
    let liveness = "    livenessProbe: {httpGet: {path: /livez, port: 9809}}\n";
    assert_eq!(
        dangers(&wired(&app, &env, liveness)),
        ["livenessProbe of the sidecar asks /livez: the sidecar is restarted, and not the app"]
    );
}

#[test]
fn an_app_that_speaks_by_itself_is_told_where() {
    let env = variable("LIVENESS_WEB", "notify:/run/notify/web");
    let explained = |app: &str| {
        let fields = format!("{STARTUP}, {LIVENESS}{app}");
        run(&["explain"], &wired(&fields, &env, "")).out
    };
    let untold = "LIVENESS_WEB: no container has NOTIFY_SOCKET=/run/notify/web, and nobody else would say anything there";
    for (app, is_told) in [
        ("", false),
        (", env: [{name: NOTIFY_SOCKET, value: /run/notify/other}]", false),
        (", env: [{name: NOTIFY_SOCKET, value: /run/notify/web}]", true),
        (", envFrom: [{configMapRef: {name: web}}]", true),
    ] {
        let out = explained(app);
        assert_eq!(!out.contains(untold), is_told, "{app}: {out}");
        assert!(out.contains("restarted: after a time that its checks do not tell here"), "{out}");
    }
}

#[test]
fn patience_that_is_too_short_or_too_long() {
    let env = variable("LIVENESS_WEB", "tcp://:80");
    let with = |numbers: &str| {
        let probe = format!("livenessProbe: {{httpGet: {{path: /livez, port: 9809}}, {numbers}}}");
        dangers(&wired(&format!("{STARTUP}, {probe}"), &env, ""))
    };
    assert_eq!(with("periodSeconds: 5, failureThreshold: 4"), [""; 0]);
    assert_eq!(
        with("periodSeconds: 2, failureThreshold: 3"),
        [
            "livenessProbe of web: 2 s x 3: a sidecar that crashes twice in a row restarts the app; 5 s x 4 outlasts it"
        ]
    );
    assert_eq!(
        with("periodSeconds: 10, failureThreshold: 6"),
        [
            "livenessProbe of web: 10 s x 6 is longer than a liveness failure stands (30 s): one that passes again \
          restarts nothing"
        ]
    );
    let hasty = "startupProbe: {httpGet: {path: \"/startupz?wait=9\", port: 9809}, timeoutSeconds: 9}";
    assert_eq!(
        dangers(&wired(&format!("{hasty}, {LIVENESS}"), &env, "")),
        ["startupProbe of web: the kubelet gives up after 9 s, and the answer may take 9 s"]
    );
}

#[test]
fn questions_and_checks_that_do_not_meet() {
    let app = format!("{STARTUP}, {LIVENESS}");
    let live = variable("LIVENESS_WEB", "tcp://:80");
    let both = live.clone() + &variable("READINESS_DB", "tcp://db:5432");
    assert_eq!(dangers(&wired(&app, &both, "")), ["READINESS_DB: no probe asks /readyz"]);
    let optional = both.clone() + &variable("READINESS_DB_REQUIRED", "false");
    assert_eq!(dangers(&wired(&app, &optional, "")), [""; 0]);
    let crossed = format!("{STARTUP}, {}", LIVENESS.replace("/livez", "/readyz"));
    assert_eq!(
        dangers(&wired(&crossed, &both, "")),
        [
            "livenessProbe of web asks /readyz: the app is restarted for what only readiness is about",
            "LIVENESS_WEB: no probe asks /livez",
        ]
    );
    let healthy = format!("{STARTUP}, {}", LIVENESS.replace("/livez", "/-/healthy"));
    assert_eq!(
        dangers(&wired(&healthy, &live, "")),
        [
            "livenessProbe of web asks /-/healthy, which says nothing of the app",
            "LIVENESS_WEB: no probe asks /livez",
        ]
    );
    let named = format!("{STARTUP}, {}", LIVENESS.replace("/livez", "\"/livez?container=wbe\""));
    assert_eq!(
        dangers(&wired(&named, &live, "")),
        [
            "livenessProbe of web asks about container wbe",
            "livenessProbe of web asks about container wbe, which no check names: it always fails",
        ]
    );
    assert_eq!(
        dangers(&wired(LIVENESS, &live, "")),
        ["web has no startupProbe that asks /startupz: that it was restarted is seen by its sockets only"]
    );
}

#[test]
fn variables_that_the_sidecar_would_refuse() {
    let wrong = variable("LIVENESS_WEB", "tcp://:80") + &variable("LIVENESS_WEB_PERIOD", "5");
    let found = dangers(&wired(&format!("{STARTUP}, {LIVENESS}"), &wrong, ""));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("did you mean LIVENESS_WEB_PERIOD_SECONDS?"), "{found:?}");
    let inside = variable("LIVENESS_WEB", "exec:ls") + &variable("LIVENESS_WEB_IN_PROCESS", "web");
    assert_eq!(
        dangers(&wired(&format!("{STARTUP}, {LIVENESS}"), &inside, "")),
        ["LIVENESS_WEB looks for a process, and the pod has no shareProcessNamespace: true"]
    );
}

#[test]
fn checks_from_elsewhere_are_not_guessed_at() {
    let from = "    envFrom: [{configMapRef: {name: checks}}]\n";
    let run =
        run(&["explain"], &wired(&format!("{STARTUP}, {LIVENESS}"), "    - {name: A, value: b}\n", from));
    assert_eq!(run.code, 0, "{}", run.out);
    assert!(run.out.contains("restarted: after a time that its checks do not tell here"), "{}", run.out);
    assert!(run.out.contains("checks come from elsewhere (envFrom, valueFrom), and are not judged here"));
}
