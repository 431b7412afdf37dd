//! The longest times that things take for one container: natively, or through the sidecar.

use std::fmt;
use std::time::Duration;

use super::asked::{self, Asked, Checks};
use super::boot;
use super::pod::{Container, PlacedProbe};
use crate::grammar::{Kind, Spec, Timing, values};
use crate::patience::{self, Asking};
use crate::probe::Probe;

/// The longest time that something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// As long as that.
    Within(Duration),
    /// It does not happen.
    Never,
    /// The checks are not in the manifest.
    Unknown,
}

/// The times of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// From the moment when the app stops answering until it is restarted.
    pub restart: Time,
    /// From the moment when the app stops answering until it gets no more traffic.
    pub out_of_traffic: Time,
    /// From the moment when the app answers until it gets traffic.
    pub to_traffic: Time,
    /// From the start of the container until it is restarted because it does not answer.
    pub boot: Time,
}

/// The knowledge of a pod's sidecar: its port and its checks.
pub type Relay<'a> = Option<(u16, &'a Checks)>;

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within(time) => write!(f, "{} s", values::written_seconds(*time)),
            Self::Never => f.write_str("never"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl Times {
    /// Returns the times of a container; `relay` is the pod's sidecar.
    pub fn of(container: &Container, relay: Relay<'_>) -> Self {
        let reader = Reader { container, relay };
        Self {
            restart: reader.failure(Probe::Liveness),
            out_of_traffic: reader.failure(Probe::Readiness),
            to_traffic: reader.to_traffic(),
            boot: reader.boot(),
        }
    }
}

struct Reader<'a> {
    container: &'a Container,
    relay: Relay<'a>,
}

impl<'a> Reader<'a> {
    fn asked(&self, placed: &PlacedProbe) -> Option<(Asked, &'a Checks)> {
        let (port, checks) = self.relay?;
        Some((asked::asked(self.container, &placed.native, port)?, checks))
    }

    /// Returns the time until a probe has failed: the first of the checks that answer decides.
    fn failure(&self, probe: Probe) -> Time {
        let Some(placed) = self.container.probe(probe) else { return Time::Never };
        let timing = &placed.native.timing;
        let Some((asked, checks)) = self.asked(placed) else {
            return Time::Within(patience::until_failed(timing));
        };
        let Some(answering) = checks.answering(&asked) else { return Time::Unknown };
        let asking = Asking { period: timing.period, failures: timing.thresholds.failure };
        let required: Vec<_> = answering.iter().filter(|spec| spec.required).collect();
        if !required.iter().all(|spec| spec.target.is_asked()) {
            // How long it may be silent is no matter of timing.
            return Time::Unknown;
        }
        let times = required.iter().map(|spec| patience::until_relayed(&spec.timing, asking));
        times.min().map_or(Time::Never, Time::Within)
    }

    fn to_traffic(&self) -> Time {
        let startup = self.container.probe(Probe::Startup);
        let started = match startup.map(|placed| (placed, self.asked(placed))) {
            None => Duration::ZERO,
            // The answer comes when the app does; the kubelet looks at a new container once a second.
            Some((_, Some((asked, _)))) if asked.wait > 0 => Duration::from_secs(1),
            Some((placed, _)) => until_passed(&placed.native.timing),
        };
        let Some(placed) = self.container.probe(Probe::Readiness) else { return Time::Within(started) };
        let timing = &placed.native.timing;
        let is_gated = startup.is_some();
        let Some((asked, checks)) = self.asked(placed) else {
            // Readiness is asked at once when startup has passed.
            let first = if is_gated { timing.period } else { Duration::ZERO };
            return Time::Within(started + until_passed(timing).saturating_sub(first));
        };
        let Some(answering) = checks.answering(&asked) else { return Time::Unknown };
        let passed = answering.iter().map(|spec| until_seen(spec)).max().unwrap_or_default();
        let first = if is_gated { Duration::ZERO } else { timing.period };
        Time::Within(started + passed + first)
    }

    fn boot(&self) -> Time {
        let Some(placed) = self.container.probe(Probe::Startup) else {
            return match self.container.probe(Probe::Liveness) {
                Some(liveness) => Time::Within(boot::allowed(&liveness.native.timing)),
                None => Time::Never,
            };
        };
        let timing = &placed.native.timing;
        let each = self
            .asked(placed)
            .map_or(timing.period, |(asked, _)| Duration::from_secs(asked.wait).max(timing.period));
        match timing.thresholds.failure {
            failures if failures >= i32::MAX.unsigned_abs() => Time::Never,
            failures => Time::Within(timing.initial_delay + each * failures),
        }
    }
}

/// Returns how long the sidecar takes at the most to notice that an app answers: it notices a socket that listens, and the
/// app's own word, at once, and anything else at the next run.
fn until_seen(spec: &Spec) -> Duration {
    let has_witness = matches!(spec.target.kind, Kind::Http(_) | Kind::Tcp(_) | Kind::Grpc(_));
    let is_noticed_at_once = has_witness || !spec.target.is_asked();
    let passed = until_passed(&spec.timing);
    if is_noticed_at_once { passed.saturating_sub(spec.timing.period) } else { passed }
}

/// Returns how long it takes at the most until successes have decided, after an app began to answer.
fn until_passed(timing: &Timing) -> Duration {
    timing.unhealthy_period.unwrap_or(timing.period) * timing.thresholds.success
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::Thresholds;

    fn timing(period: u64, success: u32) -> Timing {
        Timing {
            period: Duration::from_secs(period),
            thresholds: Thresholds { success, failure: 3 },
            ..Timing::default()
        }
    }

    #[test]
    fn successes_need_their_periods() {
        assert_eq!(until_passed(&timing(10, 1)), Duration::from_secs(10));
        assert_eq!(until_passed(&timing(5, 3)), Duration::from_secs(15));
    }
}
