//! Input that is wrong: a clear error with file, document and line, and nothing written.

use crate::program::{manifest, run};

#[track_caller]
fn assert_refused(input: &str, expected: &str) {
    for command in ["inject", "uninject", "explain"] {
        let run = run(&[command], input);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{command}");
        assert!(run.err.starts_with("standard input, document "), "{command}: {}", run.err);
        assert!(run.err.contains(expected), "{command}: {}", run.err);
    }
}

#[test]
fn what_is_no_manifest() {
    assert_refused("", "document 1, line 1: no object of Kubernetes");
    assert_refused("Dear Sir or Madam,\n", "no object of Kubernetes");
    assert_refused("\u{0}\u{1}\u{2}", "document 1, line 1: no ");
    assert_refused("kind: A\n---\nkind: B\nspec: {a: [1, 2\n", "document 2, line 4: no YAML");
    assert_refused("kind: A\nspec:\n  a: 1\n   b: 2\n", "document 1, line 4: no YAML");
    let whole = manifest("https-headers.yaml");
    assert_refused(&whole[..whole.find("full=1").expect("the text")], "line 20: no YAML: unclosed quote");
}

#[test]
fn a_template_that_was_not_rendered() {
    let hint = "a Helm template has to be rendered first: helm template";
    assert_refused("kind: Deployment\nspec: {{ .Values.spec }}\n", hint);
    assert_refused("kind: Deployment\n{{- if .Values.on }}\nspec: 1\n{{- end }}\n", hint);
    assert_refused(
        &manifest("grpc.yaml").replace("registry.example/cart:1", "\"{{ .Values.image }}\""),
        "line 13: Deployment cart: image is a template that was not rendered",
    );
    assert_refused(
        &manifest("pod.yaml").replace("port: 8080", "port: \"{{ .Values.port }}\""),
        "line 12: Pod bare: container bare: livenessProbe: port=\"{{ .Values.port }}\": accepted: a number",
    );
}

#[test]
fn a_document_of_50_megabytes() {
    let long = format!("kind: A\n---\nkind: B\nnote: {}\n", "x".repeat(50_000_000));
    assert_refused(&long, "document 2, line 2: 50 MB, and a document may hold 33554432 bytes");
}

#[test]
fn a_name_that_stands_twice() {
    let twice = manifest("pod.yaml").replace("    image:", "    name: other\n    image:");
    assert_refused(&twice, "document 1, line 8: \"name\" stands twice in one map");
}

#[test]
fn probes_that_the_api_server_would_refuse() {
    let pod = manifest("pod.yaml");
    for (from, to, expected) in [
        ("httpGet:", "httpGot:", "line 10: Pod bare: container bare: livenessProbe: no handler; accepted"),
        ("      httpGet:", "      exec: {command: [a]}\n      httpGet:", "more than one handler"),
        ("port: 8080", "port: 80800", "livenessProbe: port=80800: accepted: a number from 1 to 65535"),
        (
            "    livenessProbe:",
            "    livenessProbe:\n      periodSeconds: 1s",
            "periodSeconds=1s: accepted: a whole",
        ),
        ("    livenessProbe:", "    livenessProbe:\n      successThreshold: 2", "must be 1 for liveness"),
    ] {
        assert_refused(&pod.replace(from, to), expected);
    }
}

#[test]
fn a_container_of_our_name_that_is_another_program() {
    let foreign = format!("{}  - name: health-proxy\n    image: other/program:1\n", manifest("pod.yaml"));
    let run = run(&["inject"], &foreign);
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    assert_eq!(
        run.err,
        "standard input, document 1, line 13: Pod bare: a container called health-proxy that is another program's \
         (other/program:1)\n"
    );
}

#[test]
fn every_error_comes_at_once() {
    let wrong = manifest("list.yaml").replace("tcpSocket: {port: 8", "tcpSocket: {port: 99999");
    let run = run(&["inject"], &wrong);
    assert_eq!((run.code, run.err.lines().count()), (2, 2), "{}", run.err);
}

#[test]
fn wrong_commands_say_what_is_right() {
    for (arguments, expected) in [
        (&[][..], "which command? See kubectl health-proxy --help"),
        (&["inyect"], "unknown command \"inyect\"; see kubectl health-proxy --help"),
        (&["inject", "--prot", "1"], "no such option: --prot; see --help"),
        (&["inject", "--port", "0"], "--port 0: accepted: a number from 1 to 65535"),
        (&["inject", "--image"], "--image needs a value"),
        (&["inject", "--set", "A"], "--set A: accepted: NAME=VALUE"),
        (&["explain", "--image", "x"], "no such option: --image; see --help"),
        (&["inject", "-f", "/no/such.yaml"], "/no/such.yaml: No such file or directory"),
    ] {
        let run = run(arguments, "");
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{arguments:?}");
        assert!(run.err.contains(expected), "{arguments:?}: {}", run.err);
    }
}
