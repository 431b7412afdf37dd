//! A Kubernetes sidecar that asks the main container everything that the kubelet cannot, over localhost, and
//! answers the kubelet's own probes and Prometheus from memory.
//!
//! The binary is the product; this library exists so that its parts can be tested and read one by one.

pub mod app;
pub mod blocking;
pub mod check;
pub mod cli;
pub mod config;
pub mod container;
pub mod gate;
pub mod grammar;
pub mod handover;
pub mod life;
mod lock;
pub mod log;
pub mod lookout;
pub mod memory;
pub mod metrics;
pub mod native;
pub mod orphans;
pub mod outcome;
pub mod page;
pub mod parent;
pub mod patience;
#[cfg(feature = "plugin")]
pub mod plugin;
pub mod pod;
pub mod probe;
pub mod proc_stat;
pub mod program;
pub mod runner;
pub mod schedule;
pub mod server;
pub mod signal;
pub mod snapshot;
pub mod status;
pub mod supervisor;
pub mod table;
pub mod targets;
pub mod tracker;
pub mod unix_time;
pub mod verdict;
pub mod watchdog;
pub mod witness;
