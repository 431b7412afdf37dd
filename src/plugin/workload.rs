//! Workloads: every object, of any kind and group, that holds a pod or a template of one.

use super::yaml::{Id, Tree};

/// An object that makes pods, or is one.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its `apiVersion`.
    pub version: String,
    /// Its `kind`.
    pub kind: String,
    /// Its name, with its namespace where that is written.
    pub name: String,
    /// The document that it is in, from 1.
    pub document: usize,
    /// The map that holds the pod's `metadata` and `spec`.
    pub holder: Id,
    /// The pod's `spec`.
    pub spec: Id,
}

impl Workload {
    /// Returns the pods of all documents, in their order; one that is shared through an alias comes once.
    pub fn all(tree: &Tree<'_>) -> Vec<Self> {
        let mut found = Vec::new();
        for (index, document) in tree.documents().iter().enumerate() {
            if let Some(root) = document.root {
                Search { tree, document: index + 1, found: &mut found }.object(root);
            }
        }
        let mut seen = Vec::new();
        found.retain(|workload: &Self| {
            let is_new = !seen.contains(&workload.spec);
            seen.push(workload.spec);
            is_new
        });
        found
    }

    /// Returns whether Knative makes the pods, which allows them less than Kubernetes does.
    pub fn is_knative(&self) -> bool {
        self.version.starts_with("serving.knative.dev/")
    }
}

struct Search<'a, 't> {
    tree: &'a Tree<'t>,
    document: usize,
    found: &'a mut Vec<Workload>,
}

impl Search<'_, '_> {
    /// Looks into an object, and into those that a list holds.
    fn object(&mut self, object: Id) {
        let text = |way: &[&str]| {
            let id = self.tree.at(object, way)?;
            self.tree.text_of(id).map(str::to_owned)
        };
        let kind = text(&["kind"]).unwrap_or_default();
        if let Some(items) = self.tree.at(object, &["items"])
            && (kind.is_empty() || kind.ends_with("List"))
        {
            for item in self.tree.items(items).to_vec() {
                self.object(item);
            }
            return;
        }
        // Their data looks like anything, and is nobody's pod.
        if kind.is_empty() || ["ConfigMap", "Secret", "CustomResourceDefinition"].contains(&kind.as_str()) {
            return;
        }
        let name = text(&["metadata", "name"]).or_else(|| text(&["metadata", "generateName"]));
        let namespace = text(&["metadata", "namespace"]).map(|namespace| format!("{namespace}/"));
        let name = format!("{}{}", namespace.unwrap_or_default(), name.unwrap_or_default());
        let version = text(&["apiVersion"]).unwrap_or_default();
        let (document, holder, spec) = (self.document, object, object);
        // The `spec.containers` of a different kind are what its operator merges into a pod, such as a Prometheus'.
        let is_pod = kind == "Pod";
        let workload = Workload { version, kind, name, document, holder, spec };
        if is_pod { self.part(object, &workload) } else { self.parts(object, &workload) }
    }

    fn part(&mut self, part: Id, of: &Workload) {
        if let Some(spec) = self.tree.at(part, &["spec"])
            && self.has_containers(spec)
        {
            let (holder, spec) = (self.tree.resolve(part), self.tree.resolve(spec));
            return self.found.push(Workload { holder, spec, ..of.clone() });
        }
        self.parts(part, of);
    }

    fn parts(&mut self, part: Id, of: &Workload) {
        let entries: Vec<Id> = self.tree.entries(part).iter().map(|entry| entry.value).collect();
        for inner in entries.into_iter().chain(self.tree.items(part).to_vec()) {
            self.part(inner, of);
        }
    }

    /// Returns whether a map is the spec of a pod: its containers have names.
    fn has_containers(&self, spec: Id) -> bool {
        let containers = self.tree.at(spec, &["containers"]);
        let items = containers.map_or(&[][..], |containers| self.tree.items(containers));
        !items.is_empty() && items.iter().all(|item| self.tree.at(*item, &["name"]).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_found_in_every_kind_and_depth() {
        let pod = "{spec: {containers: [{name: a}]}}";
        let text = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: n}}, spec: {{containers: [{{name: a}}]}}}}\n\
             ---\n{{apiVersion: batch/v1, kind: CronJob, metadata: {{name: c}}, spec: {{jobTemplate: {{spec: {{template: {pod}}}}}}}}}\n\
             ---\n{{apiVersion: v1, kind: List, items: [{{kind: Rollout, spec: {{template: {pod}}}}}]}}\n\
             ---\n{{apiVersion: jobset.x-k8s.io/v1, kind: JobSet, spec: {{replicatedJobs: [{{template: {{spec: {{template: {pod}}}}}}}]}}}}\n\
             ---\n{{apiVersion: v1, kind: ConfigMap, spec: {{template: {pod}}}}}\n\
             ---\n{{apiVersion: v1, kind: Service, spec: {{ports: []}}}}\n\
             ---\n{{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, spec: {{containers: [{{name: a}}]}}}}\n\
             ---\n"
        );
        let found = Workload::all(&Tree::read(&text).unwrap());
        let shown: Vec<_> =
            found.iter().map(|w| format!("{} {} {} {}", w.document, w.version, w.kind, w.name)).collect();
        assert_eq!(
            shown,
            ["1 v1 Pod n/p", "2 batch/v1 CronJob c", "3  Rollout ", "4 jobset.x-k8s.io/v1 JobSet "]
        );
    }

    #[test]
    fn a_shared_template_comes_once() {
        let text = "kind: List\nitems:\n- {kind: A, spec: {template: &t {spec: {containers: [{name: a}]}}}}\n\
                    - {kind: B, spec: {template: *t}}\n";
        assert_eq!(Workload::all(&Tree::read(text).unwrap()).len(), 1);
    }
}
