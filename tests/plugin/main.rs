//! `kubectl health-proxy inject`, `uninject` and `explain`, by the program itself, on manifests like those that people
//! have: `manifests/`, and what becomes of each in `checks.txt`.

mod api_server;
mod bad_input;
mod explain;
mod options;
mod program;
mod round_trip;
#[path = "../manifests/schema.rs"]
mod schema;
mod status;
