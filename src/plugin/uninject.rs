//! `uninject`: what `inject` added goes, and the native probes are there again.

use super::asked::{self, Asked};
use super::env;
use super::input::{Fault, Input};
use super::names::check_name;
use super::original::{ANNOTATION, KeptProbe, Original};
use super::place;
use super::pod::{Container, PlacedProbe, Pod, SIDECAR};
use super::probe::{self, field};
use super::sidecar::Source;
use super::yaml::{Data, Editor, Id, Tree};
use crate::grammar::{self, Spec, variable, write};
use crate::native::{Handler, Native};
use crate::probe::Probe;

/// The result for a text.
#[derive(Debug)]
pub struct Uninjected {
    /// The text without sidecars.
    pub text: String,
    /// The report on each pod: its kind and name, and a line each.
    pub pods: Vec<(String, Vec<String>)>,
}

/// Takes the sidecar out of every pod that `inject` gave one.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn uninject(input: &Input, source: &Source) -> Result<Uninjected, Vec<Fault>> {
    let tree = input.parse().map_err(|fault| vec![fault])?;
    let mut editor = Editor::new(&tree);
    let (mut pods, mut faults) = (Vec::new(), Vec::new());
    for pod in Pod::all(input, &tree)? {
        let Some(original) = pod.annotation(ANNOTATION).map(Original::read) else {
            let has_sidecar = pod.sidecar().is_some();
            let line = "left alone: its sidecar was not put there by inject".to_owned();
            pods.extend(has_sidecar.then(|| (pod.title(), vec![line])));
            continue;
        };
        match original {
            Ok(original) => {
                let port = pod.sidecar().map(|sidecar| asked::port(&tree, sidecar, source.port()));
                let mut remover = Remover { pod: &pod, original: &original, source, port, lines: Vec::new() };
                remover.remove(&mut editor);
                pods.push((pod.title(), remover.lines));
            }
            Err(error) => {
                let line = tree.line(pod.workload.holder);
                let message = format!("{}: annotation {ANNOTATION}: {error}", pod.title());
                faults.push(input.fault(pod.workload.document, line, message));
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let text = place::finish(input, editor)?;
    place::reread(input, &text)?;
    Ok(Uninjected { text, pods })
}

struct Remover<'a, 't> {
    pod: &'a Pod<'a, 't>,
    original: &'a Original,
    source: &'a Source,
    port: Option<u16>,
    lines: Vec<String>,
}

impl Remover<'_, '_> {
    fn remove(&mut self, editor: &mut Editor<'_, '_>) {
        let specs = self.specs();
        let mut used = Vec::new();
        for container in self.pod.apps() {
            for placed in &container.probes {
                let asked = self.port.and_then(|port| asked::asked(container, &placed.native, port));
                if let Some(Asked { about: Some(_), .. }) = asked {
                    used.extend(self.probe(editor, container, placed, &specs));
                }
            }
        }
        for spec in specs.iter().filter(|spec| !used.contains(&spec.variable)) {
            self.lines.push(format!("{} goes: the kubelet has no such probe", spec.variable));
        }
        self.sidecar(editor);
        self.field(editor, self.pod.workload.spec, "shareProcessNamespace");
        self.annotation(editor);
    }

    /// Returns the checks of the sidecar, where they can be read.
    fn specs(&self) -> Vec<Spec> {
        let variables = self.pod.sidecar().map(|sidecar| env::literals(self.pod.tree, sidecar));
        grammar::read(env::os(&variables.unwrap_or_default())).unwrap_or_default()
    }

    /// Puts one probe back, and returns the variable of the check that it was.
    fn probe(
        &mut self,
        editor: &mut Editor<'_, '_>,
        container: &Container,
        placed: &PlacedProbe,
        specs: &[Spec],
    ) -> Option<String> {
        let name = field(placed.probe);
        let variable = self.variable(container, placed.probe);
        let spec = specs.iter().find(|spec| spec.variable == variable);
        let Some(kept) = self.original.probe(&container.name, name) else {
            editor.remove_entry(container.id, name);
            return None;
        };
        match spec.filter(|spec| !self.means(container, placed.probe, kept, spec)) {
            None => editor.restore_entry(container.id, name, &kept.source, &kept.data),
            Some(changed) => self.changed(editor, container, placed, kept, changed),
        }
        Some(variable)
    }

    /// Puts back what a check means now, if the probe was a different one.
    fn changed(
        &mut self,
        editor: &mut Editor<'_, '_>,
        container: &Container,
        placed: &PlacedProbe,
        kept: &KeptProbe,
        spec: &Spec,
    ) {
        let name = field(placed.probe);
        if let Some(mut native) = Native::of(spec) {
            if let Handler::Exec(words) = &mut native.handler {
                for word in words {
                    *word = env::escaped(word);
                }
            }
            let mut data = probe::write(&native);
            if let Some(grace) = &placed.grace {
                data.set("terminationGracePeriodSeconds", grace.clone());
            }
            editor.replace_entry(container.id, name, &data);
            self.lines.push(format!("{name} of {} is as {} says now", container.name, spec.variable));
        } else {
            editor.restore_entry(container.id, name, &kept.source, &kept.data);
            let line =
                format!("{name} of {} is as it was: no probe can say {}", container.name, spec.variable);
            self.lines.push(line);
        }
    }

    /// Returns whether a check is still the one that `inject` made of a probe.
    fn means(&self, container: &Container, which: Probe, kept: &KeptProbe, spec: &Spec) -> bool {
        let text = Data::Map(vec![("probe".to_owned(), kept.data.clone())]).written();
        let Ok(tree) = Tree::read(&text) else { return false };
        let Some(node) = root(&tree).and_then(|root| tree.get(root, "probe")) else { return false };
        let Ok(native) = probe::read(&tree, which, node) else { return false };
        let mut expected = match spec.options.get(grammar::options::IN_PROCESS) {
            None => native.check(which, &spec.name(), |name| container.port(name)),
            Some(process) => {
                let expanded = |word: &str| env::expanded(self.pod.tree, container, word);
                native.check_in_process(which, &spec.name(), process, expanded)
            }
        };
        if let Ok(expected) = &mut expected {
            expected.container.clone_from(&spec.container);
        }
        expected.is_ok_and(|expected| write(&expected) == write(spec))
    }

    fn variable(&self, container: &Container, probe: Probe) -> String {
        let all: Vec<_> = self.pod.apps().map(|container| container.name.as_str()).collect();
        variable(probe, &check_name(&container.name, &all))
    }

    fn sidecar(&mut self, editor: &mut Editor<'_, '_>) {
        let spec = self.pod.workload.spec;
        for list in ["initContainers", "containers"] {
            self.item(editor, spec, list, SIDECAR);
        }
        self.item(editor, spec, "volumes", self.source.volume_name());
    }

    /// Takes an item out of a list, or the list where nothing else is in it.
    fn item(&mut self, editor: &mut Editor<'_, '_>, map: Id, list: &str, name: &str) {
        let tree = self.pod.tree;
        let Some(entry) = tree.entry(map, list) else { return };
        let items = tree.items(entry.value);
        let is_it = |item: &Id| tree.at(*item, &["name"]).and_then(|id| tree.text_of(id)) == Some(name);
        let Some(index) = items.iter().position(is_it) else { return };
        if items.len() == 1 {
            self.field(editor, map, list);
        } else {
            editor.remove_item(entry.value, index);
        }
    }

    fn annotation(&mut self, editor: &mut Editor<'_, '_>) {
        let (tree, holder) = (self.pod.tree, self.pod.workload.holder);
        let (Some(metadata), Some(annotations)) = (tree.at(holder, &["metadata"]), self.pod.annotations())
        else {
            return;
        };
        if tree.entries(annotations).len() > 1 {
            editor.remove_entry(annotations, ANNOTATION);
        } else if tree.entries(metadata).len() > 1 || !self.original.has_changed("metadata") {
            self.field(editor, metadata, "annotations");
        } else {
            self.field(editor, holder, "metadata");
        }
    }

    /// Makes a field what it was, where nothing but ours is in it.
    fn field(&mut self, editor: &mut Editor<'_, '_>, map: Id, name: &str) {
        let is_ours = name != "shareProcessNamespace" || self.original.has_changed(name);
        match self.original.before(name) {
            Some(was) => editor.set_source(map, name, was),
            None if is_ours => editor.remove_entry(map, name),
            None => {}
        }
    }
}

fn root(tree: &Tree<'_>) -> Option<Id> {
    tree.documents().first().and_then(|document| document.root)
}
