//! Puts things where a manifest may have a place for them or not, and notes what was there.

use super::input::{Fault, Input};
use super::original::{ANNOTATION, Original};
use super::pod::Pod;
use super::yaml::{Data, Editor, Id, Tree};

/// A place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Before all others.
    First,
    /// After all others.
    Last,
}

/// Adds an item to the list called `name` of a map, which is made where it is missing.
pub fn add_item(
    editor: &mut Editor<'_, '_>,
    tree: &Tree<'_>,
    map: Id,
    (name, item): (&str, &Data),
    place: Where,
    original: &mut Original,
) {
    let with = |others: Option<Data>| {
        let mut items = match others {
            Some(Data::List(items)) => items,
            _ => Vec::new(),
        };
        items.insert(if place == Where::First { 0 } else { items.len() }, item.clone());
        Data::List(items)
    };
    let Some(list) = tree.entry(map, name).map(|entry| entry.value) else {
        let merged = tree.get(map, name).map(|list| Data::of(tree, list));
        original.note(name, None);
        return editor.insert_entry(map, Some("containers"), name, &with(merged));
    };
    if tree.is_null(list) || tree.is_empty(list) {
        original.note(name, Some(tree.source(list)));
        editor.fill_entry(map, name, &with(None));
    } else if tree.resolve(list) != list {
        editor.replace_entry(map, name, &with(Some(Data::of(tree, list))));
    } else if place == Where::First {
        editor.prepend_item(list, item);
    } else {
        editor.append_item(list, item);
    }
}

/// Sets a scalar of a map.
pub fn set(
    editor: &mut Editor<'_, '_>,
    tree: &Tree<'_>,
    map: Id,
    (name, value): (&str, &Data),
    original: &mut Original,
) {
    if let Some(entry) = tree.entry(map, name) {
        original.note(name, Some(tree.source(entry.value)));
        editor.replace_entry(map, name, value);
    } else {
        original.note(name, None);
        editor.insert_entry(map, Some("containers"), name, value);
    }
}

/// Writes the annotation into the pod's metadata.
pub fn annotate(editor: &mut Editor<'_, '_>, pod: &Pod<'_, '_>, mut original: Original) {
    let (tree, holder) = (pod.tree, pod.workload.holder);
    let value = |original: &Original| Data::text(original.write());
    let annotations = |original: &Original| Data::map([(ANNOTATION, value(original))]);
    let Some(metadata) = tree.entry(holder, "metadata").map(|entry| entry.value) else {
        original.note("metadata", None);
        return editor.insert_first_entry(
            holder,
            "metadata",
            &Data::map([("annotations", annotations(&original))]),
        );
    };
    if tree.is_null(metadata) || tree.is_empty(metadata) {
        original.note("metadata", Some(tree.source(metadata)));
        return editor.fill_entry(holder, "metadata", &Data::map([("annotations", annotations(&original))]));
    }
    let Some(there) = tree.entry(metadata, "annotations").map(|entry| entry.value) else {
        original.note("annotations", None);
        return editor.insert_entry(metadata, None, "annotations", &annotations(&original));
    };
    if tree.is_null(there) || tree.is_empty(there) {
        original.note("annotations", Some(tree.source(there)));
        editor.fill_entry(metadata, "annotations", &annotations(&original));
    } else if tree.resolve(there) != there {
        let mut all = Data::of(tree, there);
        all.set(ANNOTATION, value(&original));
        editor.replace_entry(metadata, "annotations", &all);
    } else if tree.entry(there, ANNOTATION).is_some() {
        editor.replace_entry(there, ANNOTATION, &value(&original));
    } else {
        editor.insert_entry(there, None, ANNOTATION, &value(&original));
    }
}

/// Makes all changes.
///
/// # Errors
/// Two changes contradict each other.
pub fn finish(input: &Input, editor: Editor<'_, '_>) -> Result<String, Vec<Fault>> {
    let documents = editor.tree().documents();
    let document = |line| documents.iter().filter(|document| document.line <= line).count().max(1);
    editor.finish().map_err(|line| {
        let message =
            "what stands here is shared by pods that would need different ones; write it out for each";
        vec![input.fault(document(line), line, message)]
    })
}

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
