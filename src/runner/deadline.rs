//! The end of a run's time: the app is judged by what somebody has looked at, not by our own standstill.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Into how many parts a timeout falls; after each the run is polled, whatever else has to wait.
const PARTS: u32 = 12;

/// The looks that every run gets: as many as an exchange has steps that begins with a name and a handshake. The others
/// may be missed, so that a short stall of ours delays no timeout.
const LOOKS: u32 = 4;

/// Waits until `limit` has passed since `began`, and longer only where this process was starved or stopped: then an
/// answer may have come that nobody has seen.
pub(super) async fn reached(began: Instant, limit: Duration) {
    let (end, part) = (began + limit, limit / PARTS);
    let (mut now, mut looks) = (began, 0);
    while now < end || looks < LOOKS {
        let next = now + part;
        sleep_until(if now < end { next.min(end) } else { next }).await;
        now = Instant::now();
        looks += 1;
    }
}
