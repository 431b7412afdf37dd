//! `kubectl health-proxy inject`, `uninject` and `explain`, by the program itself, on manifests like those that people
//! have: `manifests/`, and what becomes of each in `checks.txt`.

mod api_server;
mod bad_input;
mod explain;
mod mutations;
mod options;
mod policy;
mod program;
mod round_trip;
#[path = "../manifests/schema.rs"]
mod schema;
#[allow(dead_code, clippy::unwrap_used, reason = "it belongs to the suite `it`, which uses all of it")]
#[path = "../it/sidecar.rs"]
mod sidecar;
mod status;
mod verdicts;
