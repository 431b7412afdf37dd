//! The variables of the sidecar's container, and how Kubernetes reads their values.

use std::ffi::OsString;

use super::pod::Container;
use super::yaml::{Data, Id, Tree};

/// Returns a value as it has to stand in `env`, where `$(NAME)` is a reference and `$$` a dollar.
pub fn escaped(value: &str) -> String {
    value.replace('$', "$$")
}

/// Returns the value that the container sees, but for references to other variables, which stay.
pub fn unescaped(value: &str) -> String {
    value.replace("$$", "$")
}

/// Returns a word of an exec probe as the kubelet runs it: `$(NAME)` is the value that the container's own `env` writes
/// there, empty where it comes from elsewhere (`ExpandContainerCommandOnlyStatic`); an unknown name stays.
pub fn expanded(tree: &Tree<'_>, container: &Container, word: &str) -> String {
    let (mut expanded, mut rest) = (String::new(), word);
    while let Some((literal, after)) = rest.split_once('$') {
        expanded.push_str(literal);
        let reference = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        if let Some((name, after)) = reference {
            match written(tree, container, name) {
                Some(value) => expanded.push_str(value),
                None => expanded.extend(["$(", name, ")"]),
            }
            rest = after;
        } else {
            expanded.push('$');
            rest = after.strip_prefix('$').unwrap_or(after);
        }
    }
    expanded + rest
}

/// Returns the value of a variable as it is written, empty where it comes from elsewhere; the last one counts.
pub fn written<'t>(tree: &'t Tree<'_>, container: &Container, name: &str) -> Option<&'t str> {
    let item = items(tree, container).iter().rfind(|item| text(tree, **item, "name") == Some(name))?;
    Some(text(tree, *item, "value").unwrap_or_default())
}

/// Returns the entries of the container's `env`.
fn items<'t>(tree: &'t Tree<'_>, container: &Container) -> &'t [Id] {
    tree.at(container.id, &["env"]).map_or(&[][..], |env| tree.items(env))
}

/// Returns a field of an entry, if it is a text.
fn text<'t>(tree: &'t Tree<'_>, item: Id, field: &str) -> Option<&'t str> {
    tree.at(item, &[field]).and_then(|id| tree.text_of(id))
}

/// Returns an entry of `env`.
pub fn entry(name: &str, value: &str) -> Data {
    Data::map([("name", Data::text(name)), ("value", Data::text(value))])
}

/// Returns the variables that stand in the container itself as text, as it sees them.
pub fn literals(tree: &Tree<'_>, container: &Container) -> Vec<(String, String)> {
    let literal = |item: &Id| {
        let value =
            text(tree, *item, "value").or_else(|| tree.at(*item, &["valueFrom"]).is_none().then_some(""))?;
        Some((text(tree, *item, "name")?.to_owned(), unescaped(value)))
    };
    items(tree, container).iter().filter_map(literal).collect()
}

/// Returns the same, and what stands for the variables that come from elsewhere: something that is right as a host, as a
/// port and as a text.
pub fn presumed(tree: &Tree<'_>, container: &Container) -> Vec<(String, String)> {
    let mut variables = literals(tree, container);
    for item in items(tree, container) {
        let name = text(tree, *item, "name").unwrap_or_default();
        if !variables.iter().any(|(known, _)| known == name) {
            variables.push((name.to_owned(), "1".to_owned()));
        }
    }
    variables
}

/// Returns the entry of `env` that sets a variable.
pub fn find(tree: &Tree<'_>, container: &Container, name: &str) -> Option<Id> {
    items(tree, container).iter().copied().find(|item| text(tree, *item, "name") == Some(name))
}

/// Returns whether all variables of the container are written in it: none comes from elsewhere.
pub fn is_all_literal(tree: &Tree<'_>, container: &Container) -> bool {
    let is_foreign = |item: &Id| tree.at(*item, &["valueFrom"]).is_some();
    tree.at(container.id, &["envFrom"]).is_none_or(|from| tree.is_empty(from))
        && !items(tree, container).iter().any(is_foreign)
}

/// Returns variables as a process has them.
pub fn os(variables: &[(String, String)]) -> impl Iterator<Item = (OsString, OsString)> + '_ {
    variables.iter().map(|(name, value)| (name.into(), value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_through_kubernetes_unchanged() {
        for value in ["a", "$", "$$", "$(HOME)", "a$b$$(c)", ""] {
            assert_eq!(unescaped(&escaped(value)), value);
            assert!(!escaped(value).replace("$$", "").contains('$'), "{value}");
        }
    }
}
