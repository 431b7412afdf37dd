//! The options of `inject`, and what people change afterwards.

use serde_json::Value;

use crate::program::{filtered, manifest, objects, pod_spec, run};

fn pod(text: &str) -> Value {
    objects(text).iter().find_map(pod_spec).expect("a pod").clone()
}

fn sidecar(text: &str) -> Value {
    pod(text)["initContainers"][0].clone()
}

fn variable(text: &str, name: &str) -> Option<String> {
    let sidecar = sidecar(text);
    let env = sidecar["env"].as_array().expect("variables");
    let found = env.iter().find(|variable| variable["name"] == name);
    found.map(|variable| variable["value"].as_str().expect("text").to_owned())
}

#[test]
fn the_image_and_the_port_are_set_everywhere() {
    let text = filtered(&["inject", "--image=a.example/hp:2", "--port", "81"], &manifest("app-on-9809.yaml"));
    let sidecar = sidecar(&text);
    assert_eq!(sidecar["image"], "a.example/hp:2");
    assert_eq!(sidecar["ports"][0]["containerPort"], 81);
    assert_eq!(sidecar["livenessProbe"]["httpGet"]["port"], 81);
    assert_eq!(variable(&text, "HEALTH_PROXY_LISTEN").as_deref(), Some("[::]:81"));
    let app = &pod(&text)["containers"][0];
    assert_eq!(app["readinessProbe"]["httpGet"]["port"], 81);
    assert_eq!(variable(&text, "READINESS_TAKEN").as_deref(), Some("http://:9809/"));
    assert_eq!(filtered(&["inject", "--image=a.example/hp:2", "--port", "81"], &text), text, "twice is once");
    assert_eq!(filtered(&["uninject"], &text), manifest("app-on-9809.yaml"));
}

/// Knative refuses a port of the sidecar: only the variable says where it listens.
#[test]
fn the_port_is_where_the_sidecar_listens_whatever_it_declares() {
    let native = manifest("knative.yaml");
    let text = filtered(&["inject", "--port", "19999"], &native);
    assert_eq!(filtered(&["inject"], &text), text, "twice is once");
    assert_eq!(filtered(&["uninject"], &text), native);
    let explained = run(&["explain"], &text).out;
    assert!(explained.contains("livenessProbe through the sidecar"), "{explained}");
    let plain = filtered(&["inject", "--port", "81"], &manifest("pod.yaml"));
    let declares_other = plain.replace("containerPort: 81\n", "containerPort: 82\n");
    assert_ne!(declares_other, plain);
    assert!(!filtered(&["uninject"], &declares_other).contains("/livez"));
}

#[test]
fn the_port_is_set_by_its_option_only() {
    let odd = run(&["inject", "--set", "HEALTH_PROXY_LISTEN=[::]:81"], &manifest("pod.yaml"));
    assert_eq!((odd.code, odd.out.as_str()), (2, ""));
    assert!(odd.err.contains("--set HEALTH_PROXY_LISTEN=[::]:81: use --port"), "{}", odd.err);
}

#[test]
fn a_pod_in_the_network_of_its_node_has_a_sidecar_on_a_port_of_its_own() {
    let text = filtered(&["inject", "--port", "19809"], &manifest("host-network.yaml"));
    assert_eq!(variable(&text, "LIVENESS_AGENT").as_deref(), Some("http://127.0.0.1:9099/healthz"));
}

#[test]
fn one_container_only() {
    let text = filtered(&["inject", "--container", "back"], &manifest("two-containers.yaml"));
    let containers = &pod(&text)["containers"];
    assert_eq!(containers[0]["livenessProbe"]["httpGet"]["port"], "http");
    assert_eq!(containers[1]["livenessProbe"]["httpGet"]["path"], "/livez?container=back");
    let both = filtered(&["inject"], &text);
    assert_eq!(pod(&both)["containers"][0]["livenessProbe"]["httpGet"]["path"], "/livez?container=front");
    assert_eq!(variable(&both, "LIVENESS_FRONT").as_deref(), Some("http://:8080/healthz"));
    assert_eq!(filtered(&["uninject"], &both), manifest("two-containers.yaml"));
}

#[test]
fn a_container_that_is_nowhere_is_a_wrong_command() {
    let odd = run(&["inject", "--container", "back", "--container=bakc"], &manifest("two-containers.yaml"));
    assert_eq!((odd.code, odd.out.as_str()), (2, ""));
    let found = "--container bakc: no pod has such a container; there are back, front";
    assert!(odd.err.contains(found), "{}", odd.err);
    let both = format!("{}---\n{}", manifest("two-containers.yaml"), manifest("pod.yaml"));
    assert_eq!(run(&["inject", "--container", "bare"], &both).code, 0, "it is in one of the pods");
    let none = run(&["inject", "--container", "web"], "kind: Service\n");
    assert!(none.err.contains("--container web: no pod has such a container\n"), "{}", none.err);
}

#[test]
fn a_container_that_merges_another_keeps_its_probes() {
    let run = run(&["inject", "--container", "one"], &manifest("anchors.yaml"));
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{}", run.err);
    assert_eq!(
        run.err,
        "standard input, document 1, line 26: Deployment anchored: two would get livenessProbe and startupProbe of \
         another container, with which it shares them through an alias; write it out\n"
    );
}

#[test]
fn variables_are_added_where_they_mean_something() {
    let set = ["inject", "--set", "LIVENESS_FRONT_PERIOD_SECONDS=2", "--set", "READINESS_DB=tcp://db:5432"];
    let text = filtered(&set, &manifest("two-containers.yaml"));
    assert_eq!(variable(&text, "LIVENESS_FRONT_PERIOD_SECONDS").as_deref(), Some("2"));
    assert_eq!(variable(&text, "READINESS_DB").as_deref(), Some("tcp://db:5432"));
    assert_eq!(filtered(&set, &text), text, "twice is once");
    let other = filtered(&["inject", "--set", "LIVENESS_FRONT_PERIOD_SECONDS=3"], &text);
    assert_eq!(variable(&other, "LIVENESS_FRONT_PERIOD_SECONDS").as_deref(), Some("3"));
    assert_eq!(other.lines().count(), text.lines().count());
    let referring = ["inject", "--set", "READINESS_DB=tcp://$(DB):5432", "--set", "DB=db.example"];
    let text = filtered(&referring, &manifest("two-containers.yaml"));
    assert_eq!(variable(&text, "READINESS_DB").as_deref(), Some("tcp://$(DB):5432"));
    let dangling = run(&referring[..3], &manifest("two-containers.yaml"));
    assert!(dangling.err.contains("there is no variable DB for $(DB)"), "{}", dangling.err);
    let nowhere = run(&["inject", "--set", "LIVENESS_X_PERIOD_SECONDS=2"], &manifest("pod.yaml"));
    assert_eq!(nowhere.code, 2);
    assert!(
        nowhere.err.contains("--set LIVENESS_X_PERIOD_SECONDS: no pod has such a check"),
        "{}",
        nowhere.err
    );
}

#[test]
fn variables_that_the_sidecar_would_refuse_are_refused() {
    let run = run(&["inject", "--set", "LIVENESS_BARE_PERIOD_SECONDS=often"], &manifest("pod.yaml"));
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    assert!(
        run.err.contains("Pod bare: LIVENESS_BARE_PERIOD_SECONDS=\"often\": accepted: seconds"),
        "{}",
        run.err
    );
}

#[test]
fn commands_run_inside_the_process() {
    let text = filtered(&["inject", "--exec-in-process"], &manifest("exec-only.yaml"));
    let pod = pod(&text);
    assert_eq!(pod["shareProcessNamespace"], true);
    assert_eq!(variable(&text, "READINESS_WORKER").as_deref(), Some("exec:cat /tmp/ready"));
    assert_eq!(variable(&text, "READINESS_WORKER_IN_PROCESS").as_deref(), Some("worker"));
    let context = &sidecar(&text)["securityContext"];
    assert_eq!(context["runAsUser"], 0);
    let needed = ["SYS_PTRACE", "SYS_CHROOT", "SETUID", "SETGID", "KILL"];
    assert_eq!(context["capabilities"]["add"], serde_json::json!(needed));
    assert_eq!(filtered(&["uninject"], &text), manifest("exec-only.yaml"));
    // No `command`: nobody knows what the process is called.
    let unknown = run(&["inject", "--exec-in-process"], &manifest("exec-and-http.yaml"));
    assert!(unknown.err.contains("--set STARTUP_MIXED_IN_PROCESS=NAME does"), "{}", unknown.err);
    let named = ["inject", "--exec-in-process", "--set", "STARTUP_MIXED_IN_PROCESS=mixed"];
    let text = filtered(&named, &manifest("exec-and-http.yaml"));
    assert_eq!(variable(&text, "STARTUP_MIXED").as_deref(), Some("exec:/bin/started"));
}

/// The kubelet does so with the container's own `env`, as it is written; a name that it does not know stays.
#[test]
fn references_of_a_command_are_what_the_container_says() {
    let text = "
apiVersion: v1
kind: Pod
metadata: {name: worker}
spec:
  containers:
    - name: worker
      image: registry.example/worker:1
      command: [/bin/worker]
      env:
        - {name: PORT, value: \"8080\"}
        - {name: NESTED, value: $(PORT)}
        - {name: SECRET, valueFrom: {secretKeyRef: {name: a, key: b}}}
      readinessProbe:
        exec: {command: [check, $(PORT), $$(PORT), $$, $(NESTED), \"$(SECRET)x\", $(NONE), $PORT]}
";
    let injected = filtered(&["inject", "--exec-in-process"], text);
    // Twice escaped: for the sidecar, where $( begins a reference, and for env, where every $ does.
    let expected = r#"exec:["check","8080","$$$$(PORT)","$$","$$$$(PORT)","x","$$$$(NONE)","$$PORT"]"#;
    assert_eq!(variable(&injected, "READINESS_WORKER").as_deref(), Some(expected));
    let run = run(&["uninject"], &injected);
    assert_eq!((run.out.as_str(), run.err.lines().count()), (text, 1), "{}", run.err);
    let changed = injected.replace(r#"\"check\",\"8080\""#, r#"\"check\",\"8081\""#);
    assert_ne!(changed, injected);
    let command =
        &pod(&filtered(&["uninject"], &changed))["containers"][0]["readinessProbe"]["exec"]["command"];
    let expected = ["check", "8081", "$$(PORT)", "$$", "$$(PORT)", "x", "$$(NONE)", "$$PORT"];
    assert_eq!(*command, serde_json::json!(expected));
}

#[test]
fn a_switch_that_says_false_is_off() {
    let text = manifest("exec-only.yaml");
    assert_eq!(filtered(&["inject", "--exec-in-process=false"], &text), text);
    let on = filtered(&["inject", "--exec-in-process"], &text);
    assert_eq!(filtered(&["inject", "--exec-in-process=true"], &text), on);
    let accepted = "accepted: --exec-in-process, --exec-in-process=true or --exec-in-process=false";
    let odd = run(&["inject", "--exec-in-process=no"], &text);
    assert_eq!((odd.code, odd.out.as_str()), (2, ""));
    assert!(odd.err.contains(&format!("--exec-in-process=no: {accepted}")), "{}", odd.err);
    for odd in ["--watch=no", "-w=", "-A=1", "--all-namespaces=yes"] {
        let status = run(&["status", odd], "");
        assert_eq!(status.code, 2, "{}", status.err);
        assert!(status.err.contains(&format!("{odd}: accepted: ")), "{}", status.err);
    }
}

#[test]
fn what_was_changed_since_is_what_comes_back() {
    let text = filtered(&["inject"], &manifest("two-containers.yaml"));
    let (old, new) = ("value: http://:8080/healthz", "value: http://:8080/livez-new");
    assert!(text.contains(old));
    let text = text.replace(old, new).replace(
        "            - name: READINESS_BACK\n",
        "            - name: READINESS_DB\n              value: tcp://db:5432\n            - name: READINESS_BACK\n",
    );
    let run = run(&["uninject"], &text);
    assert_eq!(run.code, 0, "{}", run.err);
    let containers = &pod(&run.out)["containers"];
    let expected = serde_json::json!({"httpGet": {"path": "/livez-new", "port": 8080}});
    assert_eq!(containers[0]["livenessProbe"], expected);
    assert_eq!(containers[1]["livenessProbe"]["httpGet"]["port"], "http-back", "as it was");
    assert!(run.err.contains("livenessProbe of front is as LIVENESS_FRONT says now"), "{}", run.err);
    assert!(run.err.contains("READINESS_DB goes: the kubelet has no such probe"), "{}", run.err);
}

#[test]
fn a_sidecar_of_another_way_in_is_left_alone() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/k8s/examples/deployment.yaml");
    let example = std::fs::read_to_string(path).expect("the example");
    assert_eq!(filtered(&["inject"], &example), example);
    let back = run(&["uninject"], &example);
    assert_eq!((back.code, back.out), (0, example));
    assert!(back.err.contains("left alone: its sidecar was not put there by inject"), "{}", back.err);
}

#[test]
fn several_files_become_one_stream() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plugin/manifests");
    let files = ["grpc.yaml", "pod.yaml"].map(|name| format!("{directory}/{name}"));
    let text = filtered(&["inject", "-f", &files[0], "-f", &files[1]], "");
    let kinds: Vec<_> = objects(&text).iter().map(|object| object["kind"].clone()).collect();
    assert_eq!(kinds, ["Deployment", "Pod"]);
    assert_eq!(filtered(&["inject", "-f", &files[0], &files[1]], ""), text);
}

#[test]
fn five_hundred_deployments_take_no_more_than_a_moment() {
    let one = manifest("named-ports.yaml");
    let named = |index| format!("---\n{}", one.replace("name: shop\n", &format!("name: shop-{index}\n")));
    let many = (0..500).map(named).collect::<Vec<_>>().concat();
    let began = std::time::Instant::now();
    let text = filtered(&["inject"], &many);
    // A second is for the release build on a machine of its own; this is the debug build beside other tests.
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    assert_eq!(text.matches("image: health-proxy:").count(), 500);
    assert_eq!(filtered(&["uninject"], &text), many);
}
