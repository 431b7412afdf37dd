//! In and out again: what `inject` makes of each manifest is what the API takes and means the same, and `uninject`
//! gives the manifest back.

use std::fmt::Write;

use serde_json::Value;

use crate::program::{filtered, manifests, objects, pod_spec, run};
use crate::schema;

/// The manifests that cannot come back to the byte: aliases are written out, and mean the same.
const WITH_ALIASES: [&str; 1] = ["anchors.yaml"];

/// Kinds of other groups, for which there is no schema here.
const FOREIGN: [&str; 3] = ["Rollout", "Namespace", "Service"];

#[test]
fn there_are_at_least_25_manifests() {
    assert!(manifests().len() >= 25);
}

#[test]
fn what_is_injected_is_what_the_api_takes() {
    for (name, text) in manifests() {
        for object in objects(&filtered(&["inject"], &text)) {
            let kind = object["kind"].as_str().expect("a kind");
            if !FOREIGN.contains(&kind) {
                let mut faults = schema::faults(&object);
                // Written as null by every API server up to 1.30: nothing, and no field of a template.
                faults.retain(|fault| fault != "unknown field .spec.template.metadata.creationTimestamp");
                assert_eq!(faults, [""; 0], "{name}: {kind}");
            }
        }
    }
}

#[test]
fn twice_is_the_same_as_once() {
    for (name, text) in manifests() {
        let once = filtered(&["inject"], &text);
        assert_eq!(filtered(&["inject"], &once), once, "{name}");
    }
}

#[test]
fn the_way_back_leads_to_what_was_there() {
    for (name, text) in manifests() {
        let back = filtered(&["uninject"], &filtered(&["inject"], &text));
        assert_eq!(objects(&back), objects(&text), "{name}");
        if !WITH_ALIASES.contains(&name.as_str()) {
            assert_eq!(back, text, "{name}");
        }
        assert_eq!(filtered(&["uninject"], &back), back, "{name}: twice");
    }
}

/// Returns how far a line is indented that begins a native probe.
fn probe_indent(line: &str) -> Option<usize> {
    let (indent, rest) = (line.len() - line.trim_start().len(), line.trim_start());
    let rest_of_item = rest.strip_prefix("- ");
    let name = rest_of_item.unwrap_or(rest);
    let is_probe =
        ["livenessProbe:", "readinessProbe:", "startupProbe:"].iter().any(|field| name.starts_with(field));
    is_probe.then_some(indent + if rest_of_item.is_some() { 2 } else { 0 })
}

/// Returns the lines of a manifest that are no part of a native probe.
fn lines_of_others(text: &str) -> Vec<&str> {
    let mut inside = None;
    let mut others = Vec::new();
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if inside.is_some_and(|probe| indent > probe || line.trim().is_empty()) {
            continue;
        }
        inside = probe_indent(line);
        if inside.is_none() && !line.contains("Probe: {") {
            others.push(line);
        }
    }
    others
}

/// Every line that is no native probe's is there unchanged and in its place.
#[test]
fn no_other_line_is_touched() {
    for (name, text) in manifests() {
        if ["compact.json", "flow.yaml", "deployment.json"].contains(&name.as_str()) {
            continue;
        }
        let injected = filtered(&["inject"], &text);
        let mut lines = injected.split_inclusive('\n');
        for line in lines_of_others(&text) {
            // What was empty is filled in its own line, a comment beside it stays; flow style takes its new entry in.
            let is_same = |other: &str| {
                other == line
                    || line
                        .trim_end()
                        .strip_suffix(" {} # none")
                        .is_some_and(|start| other.starts_with(start))
                    || line
                        .trim_end()
                        .strip_suffix(" [] # none")
                        .is_some_and(|start| other.starts_with(start))
                    || line.trim_end().strip_suffix('}').is_some_and(|start| other.starts_with(start))
                    || line.trim_end_matches(['\r', '\n']) == other.trim_end_matches(['\r', '\n'])
            };
            assert!(lines.any(is_same), "{name}: {line:?} is gone or moved in\n{injected}");
        }
    }
}

#[test]
fn line_ends_stay() {
    let text = crate::program::manifest("crlf.yaml");
    let injected = filtered(&["inject"], &text);
    assert!(injected.contains("LIVENESS_CRLF\r\n"));
    assert_eq!(injected.matches('\n').count(), injected.matches("\r\n").count());
}

#[test]
fn json_stays_json() {
    for name in ["deployment.json", "compact.json"] {
        let injected = filtered(&["inject"], &crate::program::manifest(name));
        let value: Value = serde_json::from_str(&injected).expect("JSON");
        assert!(value.to_string().contains("LIVENESS_"), "{name}");
        assert_eq!(injected.lines().count() > 1, name == "deployment.json");
    }
}

/// What `kubectl get -o json` shows of an injected object has its probes in an annotation, as YAML wrote them.
#[test]
fn what_was_written_as_yaml_comes_back_as_json_from_json() {
    // Who merges a probe of another container has none in JSON that could be known as merged.
    for (name, text) in manifests().into_iter().filter(|(name, _)| !WITH_ALIASES.contains(&name.as_str())) {
        for (native, injected) in objects(&text).iter().zip(objects(&filtered(&["inject"], &text))) {
            for json in [injected.to_string(), format!("{injected:#}")] {
                let back = filtered(&["uninject"], &json);
                let value: Value = serde_json::from_str(&back).unwrap_or_else(|error| {
                    panic!("{name}: {error}\n{back}");
                });
                assert_eq!(&value, native, "{name}");
            }
        }
    }
}

/// The variables of each sidecar, the probes of each container, and what was left alone.
#[test]
fn every_probe_becomes_the_check_that_it_was() {
    let mut found = String::new();
    for (name, text) in manifests() {
        let run = run(&["inject"], &text);
        writeln!(found, "== {name}").expect("text");
        for object in objects(&run.out) {
            describe(&mut found, &object);
        }
        for line in
            run.err.lines().filter(|line| line.contains("left alone") || line.contains("stays native"))
        {
            writeln!(found, "{}", line.trim_start().trim_start_matches("-: ")).expect("text");
        }
    }
    let expected = include_str!("checks.txt");
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

fn describe(found: &mut String, object: &Value) {
    let Some(spec) = pod_spec(object) else { return };
    let everyone =
        ["initContainers", "containers"].map(|list| spec[list].as_array().cloned().unwrap_or_default());
    for container in everyone.concat() {
        if container["name"] == "health-proxy" {
            for variable in container["env"].as_array().expect("variables") {
                let text = |field: &str| variable[field].as_str().expect("text").to_owned();
                writeln!(found, "{}={}", text("name"), text("value").replace('\n', "\\n")).expect("text");
            }
            continue;
        }
        for field in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let probe = &container[field];
            if let Some(path) = probe["httpGet"]["path"].as_str().filter(|_| probe["httpGet"]["port"] == 9809)
            {
                let numbers = ["failureThreshold", "terminationGracePeriodSeconds"];
                let numbers: Vec<_> = numbers.iter().map(|number| probe[number].to_string()).collect();
                let name = container["name"].as_str().expect("a name");
                writeln!(found, "{name} {field} {path} {}", numbers.join(" ")).expect("text");
            }
        }
    }
}
