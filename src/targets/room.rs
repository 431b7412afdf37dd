//! Room for long content: what all checks hold at a time is bounded, however many there are.

use tokio::sync::{Semaphore, SemaphorePermit};

/// The length up to which content needs no room, in bytes.
pub const SMALL: usize = 16 * 1024;

/// The most long contents at a time in the whole process. Those that have to wait are slowed down by their own
/// connections.
static ROOMS: Semaphore = Semaphore::const_new(8);

/// The right to hold long content, which ends with this value.
#[derive(Debug)]
pub struct Room {
    _permit: SemaphorePermit<'static>,
}

impl Room {
    /// Waits for room.
    ///
    /// # Errors
    /// Never: the semaphore is not closed.
    pub async fn get() -> Result<Self, String> {
        let permit = ROOMS.acquire().await;
        permit.map(|permit| Self { _permit: permit }).map_err(|error| error.to_string())
    }
}
