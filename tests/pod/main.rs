//! The life of a pod: the real image in real containers that share a network namespace, the shipped manifests, and a
//! stand-in for the kubelet that starts, probes, restarts and ends them. `tests/pod/run` builds the images and runs this.

#![expect(
    clippy::disallowed_methods,
    reason = "threads of their own pace requests and look again at processes that tell nobody of their end"
)]

mod answers;
#[path = "../fixtures/expand.rs"]
mod expand;
mod foreign;
mod history;
mod kubelet;
mod lifecycle;
mod manifest;
mod memory;
mod native;
mod network;
mod pod;
mod podman;
mod prober;
mod probing;
#[expect(dead_code, reason = "it belongs to the plugin's own tests, which use all of it")]
#[path = "../plugin/program.rs"]
mod program;
mod recipe;
#[expect(dead_code, reason = "shared with the test of the manifests, which reads more")]
#[path = "../manifests/render.rs"]
mod render;
mod report;
mod request;
mod state;
mod watch;

mod scenarios {
    mod bursts;
    mod classics;
    mod clock;
    mod deletion;
    mod image;
    mod impostor;
    mod in_app;
    mod kubelet_restart;
    mod moved_in;
    mod pod_start;
    mod refusal;
    mod respawn;
    mod restart;
    mod rollout;
    mod sidecar_dies;
    mod start;
    mod two_apps;
    mod vouching;
    mod worker_dies;
}
