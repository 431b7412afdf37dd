//! The text that `inject` replaced, kept in an annotation of the pod: `uninject` puts it back.
//!
//! Probes are kept as they were written, comments included. The value is YAML:
//!
//! ```yaml
//! probes: # by container; a probe that is not here was added
//!   web:
//!     livenessProbe:
//!       httpGet: { path: /healthz, port: http }
//! before: # the text of what was there and is not any more; null: nothing
//!   volumes: null
//! ```

use super::yaml::{Data, Editor, Tree};

/// The annotation's name.
pub const ANNOTATION: &str = "health-proxy.io/native-probes";

/// Everything that is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Original {
    /// Probes as they were.
    pub probes: Vec<KeptProbe>,
    /// Fields that were something else, or were not there, by name.
    pub before: Vec<(String, Option<String>)>,
}

/// A probe as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptProbe {
    /// The name of its container.
    pub container: String,
    /// The field that held it.
    pub field: String,
    /// The field as it was written, at the left margin.
    pub source: String,
    /// Its meaning.
    pub data: Data,
}

impl Original {
    /// Reads the annotation's value.
    ///
    /// # Errors
    /// It is no YAML.
    pub fn read(value: &str) -> Result<Self, String> {
        let tree = Tree::read(value).map_err(|error| error.to_string())?;
        let Some(root) = tree.documents().first().and_then(|document| document.root) else {
            return Ok(Self::default());
        };
        let editor = Editor::new(&tree);
        let (mut probes, mut before) = (Vec::new(), Vec::new());
        for container in tree.at(root, &["probes"]).map_or(&[][..], |probes| tree.entries(probes)) {
            for entry in tree.entries(container.value) {
                let text = |id| tree.text_of(id).unwrap_or_default().to_owned();
                let field = text(entry.key);
                let data = Data::of(&tree, entry.value);
                let source = editor.source_of_entry(container.value, &field).unwrap_or_default();
                probes.push(KeptProbe { container: text(container.key), field, source, data });
            }
        }
        for entry in tree.at(root, &["before"]).map_or(&[][..], |before| tree.entries(before)) {
            let was = (!tree.is_null(entry.value)).then(|| tree.text_of(entry.value).unwrap_or_default());
            before.push((tree.text_of(entry.key).unwrap_or_default().to_owned(), was.map(str::to_owned)));
        }
        Ok(Self { probes, before })
    }

    /// Writes the annotation's value.
    pub fn write(&self) -> String {
        let mut lines = String::new();
        let mut container = None;
        if !self.probes.is_empty() {
            lines.push_str("probes:\n");
        }
        for kept in &self.probes {
            if container != Some(&kept.container) {
                lines.extend(["  ", &Data::scalar(&kept.container), ":\n"]);
                container = Some(&kept.container);
            }
            for line in kept.source.split('\n') {
                lines.extend([if line.is_empty() { "" } else { "    " }, line, "\n"]);
            }
        }
        if !self.before.is_empty() {
            lines.push_str("before:\n");
        }
        for (field, was) in &self.before {
            let was = was.as_ref().map_or_else(|| "null".to_owned(), |was| Data::quoted(was));
            lines.extend(["  ", field, ": ", &was, "\n"]);
        }
        lines
    }

    /// Keeps a probe, in order of the containers.
    pub fn keep(&mut self, kept: KeptProbe) {
        let last = self.probes.iter().rposition(|other| other.container == kept.container);
        self.probes.insert(last.map_or(self.probes.len(), |index| index + 1), kept);
    }

    /// Returns a probe as it was.
    pub fn probe(&self, container: &str, field: &str) -> Option<&KeptProbe> {
        self.probes.iter().find(|kept| kept.container == container && kept.field == field)
    }

    /// Returns whether a field was changed as a whole.
    pub fn has_changed(&self, field: &str) -> bool {
        self.before.iter().any(|(name, _)| name == field)
    }

    /// Returns what a field was that was changed as a whole, if it was there.
    pub fn before(&self, field: &str) -> Option<&str> {
        self.before.iter().find(|(name, _)| name == field)?.1.as_deref()
    }

    /// Notes what a field was, unless that is known already.
    pub fn note(&mut self, field: &str, was: Option<&str>) {
        if !self.has_changed(field) {
            self.before.push((field.to_owned(), was.map(str::to_owned)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back() {
        let source = "livenessProbe: # why\n  httpGet:\n\n    path: |\n      /x \n    port: 1";
        let data =
            Data::map([("httpGet", Data::map([("path", Data::text("/x \n")), ("port", Data::number(1))]))]);
        let kept = |container: &str, field: &str, source: &str, data: &Data| KeptProbe {
            container: container.to_owned(),
            field: field.to_owned(),
            source: source.to_owned(),
            data: data.clone(),
        };
        let mut original = Original::default();
        original.keep(kept("web", "livenessProbe", source, &data));
        original.keep(kept(
            "on",
            "startupProbe",
            "startupProbe: {a: 1}",
            &Data::map([("a", Data::number(1))]),
        ));
        original.keep(kept("web", "readinessProbe", "readinessProbe: {}", &Data::Map(Vec::new())));
        original.note("volumes", None);
        original.note("annotations", Some("*a"));
        original.note("annotations", Some("never"));
        let written = original.write();
        assert_eq!(Original::read(&written).unwrap(), original, "{written}");
        assert!(original.has_changed("volumes"));
        assert_eq!(original.before("volumes"), None);
        assert_eq!(original.before("annotations"), Some("*a"));
        assert!(!original.has_changed("metadata"));
    }
}
