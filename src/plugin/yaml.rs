//! YAML (and JSON, which is YAML) as text that is edited and never written anew.
//!
//! [`Tree`] says where each node stands in the text. [`Editor`] collects what is to be put in, taken out or replaced
//! there, so that all other bytes stay: comments, order, anchors, line ends, and fields that nobody here knows.

mod data;
mod edit;
mod flow;
mod place;
mod read;
mod tree;
mod write;

pub use data::Data;
pub use edit::Editor;
pub use tree::{Id, MapEntry, Tree};

#[cfg(test)]
mod tests;
