//! A Kubernetes sidecar that asks the main container everything that the kubelet cannot, over localhost, and
//! answers the kubelet's own probes and Prometheus from memory.
//!
//! The programs are the product; this library exists so that its parts can be tested and read one by one. Public is only
//! what the programs, the tests of the whole and the benchmarks use, so that the compiler finds what nobody does.

pub mod app;
mod blocking;
pub mod check;
pub mod cli;
pub mod config;
mod container;
mod gate;
pub mod grammar;
pub mod handover;
mod life;
mod lock;
mod log;
mod lookout;
mod memory;
mod metrics;
#[cfg(feature = "plugin")]
mod native;
mod orphans;
pub mod outcome;
mod page;
mod parent;
mod patience;
#[cfg(feature = "plugin")]
pub mod plugin;
mod pod;
mod probe;
mod proc_stat;
mod program;
pub mod runner;
mod schedule;
mod server;
mod signal;
mod snapshot;
mod status;
mod supervisor;
mod table;
pub mod targets;
mod tracker;
mod unix_time;
mod verdict;
mod watchdog;
pub mod witness;
