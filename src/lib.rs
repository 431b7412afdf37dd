//! A Kubernetes sidecar that asks the main container everything that the kubelet cannot, over localhost, and
//! answers the kubelet's own probes and Prometheus from memory.
//!
//! The binary is the product; this library exists so that its parts can be tested and read one by one.

pub mod board;
pub mod check;
pub mod options;
pub mod outcome;
pub mod probe;
pub mod schedule;
pub mod status;
pub mod target;
pub mod tracker;
pub mod verdict;
