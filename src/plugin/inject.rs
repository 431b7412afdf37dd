//! `inject`: native probes become checks of a sidecar, and the probes ask it.

use super::boot;
use super::env;
use super::input::{Fault, Input};
use super::original::{ANNOTATION, KeptProbe, Original};
use super::place::{self, Where};
use super::plan::{Obstacle, Options, Plan, Wired};
use super::pod::{Container, PlacedProbe, Pod};
use super::probe::field;
use super::report::View;
use super::set::Set;
use super::shared;
use super::sidecar::{Settings, Source, set_boot};
use super::yaml::{Data, Editor, Id};
use crate::config::Config;
use crate::probe::Probe;

/// The result for a text.
#[derive(Debug)]
pub struct Injected {
    /// The text with its sidecars.
    pub text: String,
    /// The change of each pod, in their order, and the pod before and after.
    pub pods: Vec<(Done, View, View)>,
}

/// The change of a pod.
#[derive(Debug, Default)]
pub struct Done {
    /// Its kind and name.
    pub title: String,
    /// Why nothing was done; `None`: its probes were moved.
    pub left_alone: Option<String>,
    /// The probes that ask the sidecar now, by container.
    pub moved: Vec<(String, Probe)>,
    /// The probes that stay native, by container, and why.
    pub stays: Vec<(String, Probe, String)>,
    /// The capabilities that the sidecar needs for commands in other containers.
    pub capabilities: Vec<&'static str>,
}

impl Done {
    fn note(&mut self, wired: &Wired<'_>) {
        let Wired { container, stays, moved, added_boot, .. } = wired;
        let name = || container.name.clone();
        self.stays.extend(stays.iter().map(|(probe, why)| (name(), *probe, why.clone())));
        self.moved.extend(moved.iter().map(|(placed, _)| (name(), placed.probe)));
        self.moved.extend(added_boot.map(|_| (name(), Probe::Startup)));
    }

    /// Returns whether a probe of a container was to be changed.
    pub fn has_moved(&self, container: &str, probe: Probe) -> bool {
        self.moved.iter().any(|moved| (moved.0.as_str(), moved.1) == (container, probe))
    }
}

/// Gives every pod of a text its sidecar.
///
/// # Errors
/// Everything that is wrong with the text, or with what was asked for.
pub fn inject(input: &Input, options: &Options, set: &Set, source: &Source) -> Result<Injected, Vec<Fault>> {
    let tree = input.parse().map_err(|fault| vec![fault])?;
    let before = Pod::all(input, &tree)?;
    let mut injector =
        Injector { input, options, set, source, editor: Editor::new(&tree), faults: Vec::new() };
    let done: Vec<_> = before.iter().filter_map(|pod| injector.pod(pod)).collect();
    let Injector { editor, faults, .. } = injector;
    if !faults.is_empty() {
        return Err(faults);
    }
    let text = place::finish(input, editor)?;
    let edited = place::reread(input, &text)?;
    let after = Pod::all(input, &edited)?;
    shared::check(input, &before, &after, &done)?;
    let views = before.iter().zip(&after).map(|(was, is)| (View::of(was, source), View::of(is, source)));
    let pods = done.into_iter().zip(views).map(|(done, (was, is))| (done, was, is)).collect();
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
        let mut done = Done { title: pod.title(), ..Done::default() };
        match Plan::of(pod, self.options, self.source.port()) {
            Ok(plan) => {
                let has_changed = self.wire(pod, &plan)?;
                done.left_alone = plan.idle.clone().filter(|_| !has_changed);
                plan.wired.iter().for_each(|wired| done.note(wired));
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

    /// Makes the changes to one pod, and returns whether there were any.
    fn wire(&mut self, pod: &Pod<'a, 't>, plan: &Plan<'_>) -> Option<bool> {
        let kept = pod.annotation(ANNOTATION).map(Original::read).transpose();
        let kept = self.take(pod, kept)?.unwrap_or_default();
        let mut original = kept.clone();
        let variables = self.variables(pod, plan)?;
        for wired in &plan.wired {
            self.container(wired, plan.port, &mut original);
        }
        let mut has_changed = plan.idle.is_none();
        match pod.sidecar() {
            Some(sidecar) => has_changed |= self.extend_sidecar(pod, sidecar, &variables, &mut original),
            None => self.add_sidecar(pod, plan, &variables, &mut original),
        }
        if !plan.capabilities.is_empty() && !pod.shares_processes() {
            let field = ("shareProcessNamespace", &Data::Plain("true".to_owned()));
            place::set(&mut self.editor, pod.tree, pod.workload.spec, field, &mut original);
        }
        if original != kept {
            place::annotate(&mut self.editor, pod, original);
        }
        Some(has_changed)
    }

    /// Returns the variables of the sidecar as they are to stand in `env`, held against what the sidecar would say of
    /// them.
    fn variables(&mut self, pod: &Pod<'a, 't>, plan: &Plan<'_>) -> Option<Vec<(String, String)>> {
        let own = plan.variables().into_iter().map(|(name, value)| (name, env::escaped(&value))).collect();
        let there = pod.sidecar().map(|sidecar| env::presumed(pod.tree, sidecar)).unwrap_or_default();
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
                set_boot(&mut probe, boot::allowed(&spec.timing));
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
            self.add_startup(container, &probe, original);
        }
    }

    /// Adds a startup probe; a field that is there and has no value takes it.
    fn add_startup(&mut self, container: &Container, probe: &Data, original: &mut Original) {
        let name = field(Probe::Startup);
        if let Some(blank) = self.editor.tree().entry(container.id, name) {
            return self.keep_and_replace(container, name, blank.value, probe, original);
        }
        let after = container.probes.iter().find(|placed| placed.is_own).map(|placed| field(placed.probe));
        self.editor.insert_entry(container.id, after, name, probe);
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
        self.keep_and_replace(container, name, placed.node, probe, original);
    }

    fn keep_and_replace(
        &mut self,
        container: &Container,
        name: &str,
        was: Id,
        probe: &Data,
        original: &mut Original,
    ) {
        let (source, data) = self.editor.kept(container.id, name, was);
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

    /// Adds what is missing to a sidecar that is there, and returns whether anything was.
    fn extend_sidecar(
        &mut self,
        pod: &Pod<'a, 't>,
        sidecar: &Container,
        variables: &[(String, String)],
        original: &mut Original,
    ) -> bool {
        let mut has_changed = false;
        for (name, value) in variables {
            let entry = env::entry(name, value);
            match env::find(pod.tree, sidecar, name) {
                Some(there) if Data::of(pod.tree, there) == entry => continue,
                Some(there) => self.editor.replace_entry(there, "value", &Data::text(value)),
                None => {
                    let env = ("env", &entry);
                    place::add_item(&mut self.editor, pod.tree, sidecar.id, env, Where::Last, original);
                }
            }
            has_changed = true;
        }
        has_changed
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
