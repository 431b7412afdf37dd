//! Runs the plugin as kubectl does, and reads what it writes.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The outcome of a run of the program.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs the plugin with `input` on its standard input.
pub fn run(arguments: &[&str], input: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kubectl-health_proxy"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the plugin starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // It may refuse before it has read all.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().expect("the plugin ends");
    writer.join().expect("the input is written");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Run { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs a filter that has to succeed, and returns what it wrote.
pub fn filtered(arguments: &[&str], input: &str) -> String {
    let run = run(arguments, input);
    assert_eq!(run.code, 0, "{arguments:?}: {}", run.err);
    run.out
}

/// Returns the manifests by their names.
pub fn manifests() -> Vec<(String, String)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/plugin/manifests");
    let entries = std::fs::read_dir(directory).expect("there are manifests");
    let mut manifests: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let text = std::fs::read_to_string(entry.path()).expect("text");
            (entry.file_name().into_string().expect("a name"), text)
        })
        .collect();
    manifests.sort();
    manifests
}

pub fn manifest(name: &str) -> String {
    manifests().into_iter().find(|(other, _)| other == name).expect("the manifest is there").1
}

/// Returns every object of a text, those in lists one by one.
pub fn objects(text: &str) -> Vec<Value> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    documents.into_iter().flat_map(expanded).collect()
}

fn expanded(document: Value) -> Vec<Value> {
    match document {
        Value::Object(mut object) if object.get("kind") == Some(&"List".into()) => {
            match object.remove("items") {
                Some(Value::Array(items)) => items,
                _ => Vec::new(),
            }
        }
        Value::Null => Vec::new(),
        other => vec![other],
    }
}

/// The places at which an object may hold the spec of a pod.
pub const POD_SPECS: [&str; 3] = ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/spec"];

/// Returns the spec of the pod that an object holds.
pub fn pod_spec(object: &Value) -> Option<&Value> {
    POD_SPECS.iter().filter_map(|way| object.pointer(way)).find(|spec| spec["containers"].is_array())
}
