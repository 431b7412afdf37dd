//! A Kubernetes sidecar that asks the main container everything the kubelet cannot.
