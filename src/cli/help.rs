//! The texts of `--help` and `--version`.

/// The help of the program.
pub(super) const ALL: &str = "\
health-proxy asks a pod's main container everything the kubelet cannot, over localhost,
and answers /livez, /readyz, /startupz and /metrics.

Usage:
  health-proxy              run the sidecar
  health-proxy check        run every check once and print a table
  health-proxy get WHAT     ask the running sidecar; WHAT is livez, readyz, startupz, status,
                            metrics or healthy
  health-proxy drain        turn /readyz red, for preStop
  health-proxy demo         watch an app fail and recover
  health-proxy COMMAND --help, --help, --version

A check is a variable: its name says which probe it feeds, its value is the target.
  LIVENESS_WEB=http://:8080/healthz
  READINESS_DB=tcp://:5432
  READINESS_WARM=exec:ls /var/ready
  STARTUP_WEB=http://:8080/healthz
Options are appended to its name: LIVENESS_WEB_PERIOD_SECONDS=5
";

/// The help of `check`.
pub(super) const CHECK: &str = "\
Usage: health-proxy check

Reads the configuration, runs every check once and prints a table.
Exit status: 0 if all required checks pass, 1 if not, 2 for a wrong configuration.
";

/// The help of `get`.
pub(super) const GET: &str = "\
Usage: health-proxy get WHAT [OPTION]...

Asks the running sidecar over loopback and prints its answer.
Exit status: 0 for the status 200, 1 for anything else, 2 for a wrong command.

WHAT is one of
  livez, readyz, startupz  what the kubelet is told
  healthy                  whether the sidecar itself works
  status                   why is this pod not ready: a table
  metrics                  what Prometheus is told

Options
  --verbose         a line for each check, also where all is well
  --container NAME  only the checks of this container and of the pod
                    (livez, readyz, startupz, status)
  --wait SECONDS    ask again until the status is 200, for so long at most, also while
                    the sidecar is only starting
  --json            the status as JSON

HEALTH_PROXY_LISTEN says where the sidecar listens, as in its own environment.
";

/// The help of `drain`.
pub(super) const DRAIN: &str = "\
Usage: health-proxy drain

Turns /readyz red, so that the pod gets no new traffic; /livez stands. It ends with the pod.
Made for preStop: exec: command: [/health-proxy, drain]
Exit status: 0 once the sidecar drains, 1 if it does not answer or refuses, 2 for a wrong command.
";

/// The help of `demo`.
pub(super) const DEMO: &str = "\
Usage: health-proxy demo

Shows an app that falls ill, a sidecar that watches it, and a stand-in for the kubelet
that restarts it, until it is interrupted.
";

/// The output of `--version`.
pub(super) const VERSION: &str = concat!("health-proxy ", env!("CARGO_PKG_VERSION"), "\n");
