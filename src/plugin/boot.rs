//! The time that an app has to boot: what its native probe allows, in answers of the sidecar.

use std::time::Duration;

use crate::grammar::Timing;

/// The longest that `/startupz` lets the kubelet wait for an answer, as shipped.
pub const STARTUP_WAIT: Duration = Duration::from_secs(9);

/// Returns how long a native probe lets an app boot, at the least.
pub fn allowed(timing: &Timing) -> Duration {
    timing.initial_delay + timing.period * timing.thresholds.failure
}

/// Returns how many answers of `/startupz?wait=9` let an app boot as long as `boot` says: each takes the whole wait, and
/// one more is for a restart of the sidecar meanwhile.
pub fn startup_failures(boot: Duration) -> u32 {
    let waits = boot.as_millis().div_ceil(STARTUP_WAIT.as_millis());
    u32::try_from(waits).unwrap_or(u32::MAX).saturating_add(1).min(i32::MAX.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::Thresholds;

    fn timing(delay: u64, period: u64, failure: u32) -> Timing {
        Timing {
            initial_delay: Duration::from_secs(delay),
            period: Duration::from_secs(period),
            thresholds: Thresholds { success: 1, failure },
            ..Timing::default()
        }
    }

    #[test]
    fn a_boot_is_as_long_as_it_was() {
        for (native, failures) in
            [(timing(0, 10, 30), 35), (timing(0, 10, 90), 101), (timing(5, 1, 4), 2), (timing(0, 1, 10), 3)]
        {
            assert_eq!(startup_failures(allowed(&native)), failures);
            assert!(STARTUP_WAIT * (failures - 1) >= allowed(&native));
        }
        assert_eq!(startup_failures(Duration::MAX), i32::MAX.unsigned_abs());
    }
}
