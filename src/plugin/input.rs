//! The input: files or standard input, and the errors that name a place in them.

use std::fmt;
use std::io::Read;

use super::yaml::{Id, Tree};

/// The most that one document may hold, in bytes. The API server takes an object of 3 MiB; a List of many is longer.
const MAX_DOCUMENT_BYTES: usize = 32 * 1024 * 1024;

/// A text and where it is from.
#[derive(Debug)]
pub struct Input {
    /// The file's name; `-` for standard input.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Something that is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    file: String,
    /// Document and line, from 1.
    place: Option<(usize, usize)>,
    message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = if self.file == "-" { "standard input" } else { &self.file };
        match self.place {
            Some((document, line)) => write!(f, "{file}, document {document}, line {line}: {}", self.message),
            None => write!(f, "{file}: {}", self.message),
        }
    }
}

impl Input {
    /// Reads a file; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be read, or is no text.
    pub fn read(name: &str) -> Result<Self, Fault> {
        let fault = |message| Fault { file: name.to_owned(), place: None, message };
        let mut bytes = Vec::new();
        let read = match name {
            "-" => std::io::stdin().lock().read_to_end(&mut bytes),
            file => std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes)),
        };
        read.map_err(|error| fault(error.to_string()))?;
        let text =
            String::from_utf8(bytes).map_err(|_| fault("not UTF-8, so it is no manifest".to_owned()))?;
        Ok(Self { name: name.to_owned(), text })
    }

    /// Parses the text.
    ///
    /// # Errors
    /// It is no YAML, is too long, or holds no object of Kubernetes.
    pub fn parse(&self) -> Result<Tree<'_>, Fault> {
        self.check_length()?;
        let tree = Tree::read(&self.text).map_err(|error| {
            let line = self.text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default();
            let hint = if line.contains("{{") || self.text.contains("{{-") {
                "; a Helm template has to be rendered first: helm template … | kubectl health-proxy …"
            } else {
                ""
            };
            self.fault(error.document, error.line, format!("{error}{hint}"))
        })?;
        let is_object = |root: Id| tree.at(root, &["kind"]).is_some() || tree.at(root, &["items"]).is_some();
        let has_objects = tree.documents().iter().filter_map(|document| document.root).any(is_object);
        if has_objects {
            Ok(tree)
        } else {
            Err(self.fault(1, 1, "no object of Kubernetes: nothing has a kind"))
        }
    }

    /// Refuses a document that no cluster would take, before time and memory go into it.
    fn check_length(&self) -> Result<(), Fault> {
        let mut line = 1;
        for (index, document) in self.text.split("\n---").enumerate() {
            if document.len() > MAX_DOCUMENT_BYTES {
                let megabytes = document.len() / 1_000_000;
                let message = format!("{megabytes} MB, and a document may hold {MAX_DOCUMENT_BYTES} bytes");
                return Err(self.fault(index + 1, line, message));
            }
            line += document.matches('\n').count() + 1;
        }
        Ok(())
    }

    /// Says what is wrong in a place.
    pub fn fault(&self, document: usize, line: usize, message: impl Into<String>) -> Fault {
        Fault { file: self.name.clone(), place: Some((document, line)), message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        let input = Input { name: "a.yaml".to_owned(), text: text.to_owned() };
        input.parse().expect_err("a fault").to_string()
    }

    #[test]
    fn bad_input_is_named_by_file_document_and_line() {
        for (text, expected) in [
            ("", "a.yaml, document 1, line 1: no object of Kubernetes: nothing has a kind"),
            ("just words\n", "a.yaml, document 1, line 1: no object of Kubernetes: nothing has a kind"),
            (
                "kind: A\n---\nkind: B\nkind: C\n",
                "a.yaml, document 2, line 4: \"kind\" stands twice in one map",
            ),
            ("kind: A\nspec: [\n", "a.yaml, document 1, line 2: no YAML: unclosed bracket '['"),
        ] {
            assert_eq!(fault(text), expected);
        }
        assert!(fault("kind: A\nspec: {{ .Values.spec }}\n").ends_with("kubectl health-proxy …"));
        assert!(fault("kind: A\n{{- if .x }}\nspec: 1\n{{- end }}\n").contains("a Helm template has to be"));
    }

    #[test]
    fn a_document_has_a_limit() {
        let long = format!("kind: A\n---\nkind: B\nnote: {}\n", "x".repeat(50_000_000));
        assert_eq!(fault(&long), "a.yaml, document 2, line 2: 50 MB, and a document may hold 33554432 bytes");
    }
}
