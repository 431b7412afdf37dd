//! The three questions of the kubelet.

use std::fmt;

use crate::tracker::Health;

/// The kubelet's questions about a container (`pkg/kubelet/prober`, `probeType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Probe {
    /// Is the app to be restarted?
    Liveness,
    /// Is the app to get traffic?
    Readiness,
    /// Has this incarnation of the app started?
    Startup,
}

impl Probe {
    /// Every probe, in alphabetical order.
    pub const ALL: [Self; 3] = [Self::Liveness, Self::Readiness, Self::Startup];

    /// Returns the label value in metrics, logs and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
            Self::Startup => "startup",
        }
    }

    /// Returns the word that begins the kubelet's events: `Liveness probe failed: …`.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
            Self::Startup => "Startup",
        }
    }

    /// Returns the variable that is this probe's name and nothing else.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Liveness => "LIVENESS",
            Self::Readiness => "READINESS",
            Self::Startup => "STARTUP",
        }
    }

    /// Returns the beginning of the variables that feed this probe.
    pub const fn variable_prefix(self) -> &'static str {
        match self {
            Self::Liveness => "LIVENESS_",
            Self::Readiness => "READINESS_",
            Self::Startup => "STARTUP_",
        }
    }

    /// Returns the name under which kube-apiserver would serve it: `livez`.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Liveness => "livez",
            Self::Readiness => "readyz",
            Self::Startup => "startupz",
        }
    }

    /// Returns the state of a check before its first verdict (contract section 3).
    pub const fn initial_health(self) -> Health {
        match self {
            Self::Liveness => Health::Healthy,
            Self::Readiness | Self::Startup => Health::Unhealthy,
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
