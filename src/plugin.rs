//! `kubectl health-proxy`: reads manifests and clusters, and writes manifests. Nothing of it runs in a pod.

pub mod yaml;
