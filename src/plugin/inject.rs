//! `inject`: native probes become checks of a sidecar, and the probes ask it.

use super::env;
use super::input::{Fault, Input};
use super::original::{ANNOTATION, KeptProbe, Original};
use super::place::{self, Where};
use super::plan::{Obstacle, Options, Plan, Wired};
use super::pod::{Container, PlacedProbe, Pod};
use super::probe::field;
use super::set::Set;
use super::sidecar::{Settings, Source, set_boot};
use super::workload::Workload;
use super::yaml::{Data, Editor, Tree};
use crate::config::Config;
use crate::patience;
use crate::probe::Probe;

/// What became of a text.
#[derive(Debug)]
pub struct Injected {
    /// The text with its sidecars.
    pub text: String,
    /// What was done with each pod, in their order.
    pub pods: Vec<Done>,
}

/// What was done with a pod.
#[derive(Debug)]
pub struct Done {
    /// Its kind and name.
    pub title: String,
    /// Why nothing was done; `None`: its probes were moved.
    pub left_alone: Option<String>,
    /// The probes that stay native, by container, and why.
    pub stays: Vec<(String, Probe, String)>,
    /// What the sidecar has to be allowed for commands in other containers.
    pub capabilities: Vec<&'static str>,
}

/// Gives every pod of a text its sidecar.
///
/// # Errors
/// Everything that is wrong with the text, or with what was asked for.
pub fn inject(input: &Input, options: &Options, set: &Set, source: &Source) -> Result<Injected, Vec<Fault>> {
    let tree = input.parse().map_err(|fault| vec![fault])?;
    let mut injector =
        Injector { input, options, set, source, editor: Editor::new(&tree), faults: Vec::new() };
    let mut pods = Vec::new();
    for workload in Workload::all(&tree) {
        match Pod::read(input, &tree, workload) {
            Ok(pod) => pods.extend(injector.pod(&pod)),
            Err(faults) => injector.faults.extend(faults),
        }
    }
    let Injector { editor, faults, .. } = injector;
    if !faults.is_empty() {
        return Err(faults);
    }
    let text = place::finish(input, editor)?;
    Ok(Injected { text, pods })
}

struct Injector<'a, 't> {
    input: &'a Input,
    options: &'a Options,
    set: &'a Set,
    source: &'a Source,
    editor: Editor<'a, 't>,
    faults: Vec<Fault>,
}

impl<'a, 't> Injector<'a, 't> {
    fn pod(&mut self, pod: &Pod<'a, 't>) -> Option<Done> {
        let mut done =
            Done { title: pod.title(), left_alone: None, stays: Vec::new(), capabilities: Vec::new() };
        match Plan::of(pod, self.options, self.source.port()) {
            Ok(plan) => {
                self.wire(pod, &plan)?;
                for Wired { container, stays, .. } in &plan.wired {
                    let named =
                        |(probe, why): &(Probe, String)| (container.name.clone(), *probe, why.clone());
                    done.stays.extend(stays.iter().map(named));
                }
                done.capabilities = plan.capabilities;
            }
            Err(Obstacle::LeftAlone(why)) => done.left_alone = Some(why),
            Err(Obstacle::Wrong(line, message)) => {
                self.faults.push(self.input.fault(pod.workload.document, line, message));
                return None;
            }
        }
        Some(done)
    }

    fn wire(&mut self, pod: &Pod<'a, 't>, plan: &Plan<'_>) -> Option<()> {
        let original = pod.annotation(ANNOTATION).map(Original::read).transpose();
        let mut original = self.take(pod, original)?.unwrap_or_default();
        let variables = self.variables(pod, plan)?;
        for wired in &plan.wired {
            self.container(wired, plan.port, &mut original);
        }
        match pod.sidecar() {
            Some(sidecar) => self.extend_sidecar(pod, sidecar, &variables, &mut original),
            None => self.add_sidecar(pod, plan, &variables, &mut original),
        }
        if !plan.capabilities.is_empty() && !pod.shares_processes() {
            let value = Data::Plain("true".to_owned());
            place::set(
                &mut self.editor,
                pod.tree,
                pod.workload.spec,
                ("shareProcessNamespace", &value),
                &mut original,
            );
        }
        place::annotate(&mut self.editor, pod, original);
        Some(())
    }

    /// The variables of the sidecar as they are to stand in `env`, held against what the sidecar would say of them.
    fn variables(&mut self, pod: &Pod<'a, 't>, plan: &Plan<'_>) -> Option<Vec<(String, String)>> {
        let own = plan.variables().into_iter().map(|(name, value)| (name, env::escaped(&value))).collect();
        let there = pod.sidecar().map(|sidecar| env::literals(pod.tree, sidecar)).unwrap_or_default();
        let variables = self.set.apply(own, &there);
        let seen = variables.iter().map(|(name, value)| (name.clone(), env::unescaped(value)));
        let all: Vec<_> = there.into_iter().chain(seen).collect();
        let read = Config::read(env::os(&all)).map_err(|errors| errors.to_string().replace('\n', "; "));
        self.take(pod, read)?;
        Some(variables)
    }

    fn container(&mut self, wired: &Wired<'_>, port: u16, original: &mut Original) {
        let container = wired.container;
        for (placed, spec) in &wired.moved {
            let mut probe = self.source.probe(placed.probe, wired.asked_as, port);
            if placed.probe == Probe::Startup {
                set_boot(&mut probe, patience::boot(&spec.timing));
            }
            if let Some(grace) = placed.grace.as_ref().filter(|_| placed.probe != Probe::Readiness) {
                probe.set(GRACE, grace.clone());
            }
            self.replace(container, placed, &probe, original);
        }
        if let Some(boot) = wired.added_boot {
            let mut probe = self.source.probe(Probe::Startup, wired.asked_as, port);
            set_boot(&mut probe, boot);
            // Liveness would have ended such an app, and with its own grace.
            if let Some(grace) = container.probe(Probe::Liveness).and_then(|placed| placed.grace.as_ref()) {
                probe.set(GRACE, grace.clone());
            }
            let after =
                container.probes.iter().find(|placed| placed.is_own).map(|placed| field(placed.probe));
            self.editor.insert_entry(container.id, after, field(Probe::Startup), &probe);
        }
    }

    fn replace(
        &mut self,
        container: &Container,
        placed: &PlacedProbe,
        probe: &Data,
        original: &mut Original,
    ) {
        let name = field(placed.probe);
        if !placed.is_own {
            return self.editor.insert_entry(container.id, None, name, probe);
        }
        let (source, data) = self.editor.kept(container.id, name, placed.node);
        original.keep(KeptProbe { container: container.name.clone(), field: name.to_owned(), source, data });
        self.editor.replace_entry(container.id, name, probe);
    }

    fn add_sidecar(
        &mut self,
        pod: &Pod<'a, 't>,
        plan: &Plan<'_>,
        variables: &[(String, String)],
        original: &mut Original,
    ) {
        let is_plain = pod.workload.is_knative();
        let settings = Settings {
            image: self.options.image.as_deref(),
            port: self.options.port,
            is_plain,
            capabilities: &plan.capabilities,
        };
        let sidecar = self.source.container(&settings, variables);
        let spec = pod.workload.spec;
        if is_plain {
            return place::add_item(
                &mut self.editor,
                pod.tree,
                spec,
                ("containers", &sidecar),
                Where::Last,
                original,
            );
        }
        place::add_item(
            &mut self.editor,
            pod.tree,
            spec,
            ("initContainers", &sidecar),
            Where::First,
            original,
        );
        place::add_item(
            &mut self.editor,
            pod.tree,
            spec,
            ("volumes", self.source.volume()),
            Where::Last,
            original,
        );
    }

    /// Adds what is missing to a sidecar that is there.
    fn extend_sidecar(
        &mut self,
        pod: &Pod<'a, 't>,
        sidecar: &Container,
        variables: &[(String, String)],
        original: &mut Original,
    ) {
        let there = env::literals(pod.tree, sidecar);
        for (name, value) in variables {
            if !there.iter().any(|(other, _)| other == name) {
                let entry = env::entry(name, value);
                place::add_item(
                    &mut self.editor,
                    pod.tree,
                    sidecar.id,
                    ("env", &entry),
                    Where::Last,
                    original,
                );
            }
        }
    }

    fn take<T, E: std::fmt::Display>(&mut self, pod: &Pod<'_, '_>, result: Result<T, E>) -> Option<T> {
        let line = pod.tree.line(pod.workload.spec);
        let fault =
            |error: E| self.input.fault(pod.workload.document, line, format!("{}: {error}", pod.title()));
        result.map_err(fault).map_err(|fault| self.faults.push(fault)).ok()
    }
}

/// The field that stays on a probe.
const GRACE: &str = "terminationGracePeriodSeconds";

/// Returns the tree of a text that this program wrote.
///
/// # Errors
/// It is no YAML any more: what stood there cannot be edited.
pub fn reread<'t>(input: &Input, text: &'t str) -> Result<Tree<'t>, Vec<Fault>> {
    Tree::read(text).map_err(|error| {
        let message = format!("the notation of this document cannot be edited: {error}");
        vec![input.fault(error.document, error.line, message)]
    })
}
