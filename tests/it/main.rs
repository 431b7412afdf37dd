//! The real binary against real targets, asked by real callers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod app;
mod attempt;
mod blocking;
mod callers;
mod certificates;
mod classics;
mod command_line;
mod configuration;
mod content;
mod database;
mod demo;
mod exec;
#[path = "../fixtures/expand.rs"]
mod expand;
mod file;
mod goodbye;
mod grpc;
mod http2;
mod http_target;
mod in_process;
mod incarnations;
mod local;
mod notify;
mod pod;
mod prometheus;
mod recipes;
mod servers;
mod sidecar;
mod supervisor;
mod tcp_target;
mod tls;
mod unix;
