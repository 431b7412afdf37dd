//! The part of the pod that a question is about.

use super::Entry;

/// The whole pod, or one container with what is about the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every check.
    Pod,
    /// The checks of the container in this place, and those about the pod.
    Container(usize),
}

impl Scope {
    /// Returns whether the answer has to do with `entry`.
    pub fn includes(self, entry: &Entry) -> bool {
        entry.check.container.is_none() || self.concerns(entry.container_place)
    }

    /// Returns whether the question is about the container in place `container`.
    pub fn concerns(self, container: usize) -> bool {
        match self {
            Self::Pod => true,
            Self::Container(place) => place == container,
        }
    }
}
