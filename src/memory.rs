//! The memory that outlives a worker: the states of checks, the lives of containers, a drain. The next worker goes on
//! from there.
//!
//! Each part has a place of its own in the memory that the supervisor holds, and one owner, the only one to write it.

mod bytes;
mod check;
mod life;

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use crate::check::Check;
use crate::snapshot::{Record, Store};

use bytes::{Reader, Writer};
pub use check::RememberedCheck;

/// All places.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Nothing is remembered where there is no supervisor.
    store: Option<(Store, Clock)>,
}

/// One moment on tokio's clock and on the kernel's, which goes on when a worker ends.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The moment.
    pub instant: Instant,
    /// The same since the machine's start.
    pub monotonic: Duration,
}

/// A state that can be remembered.
pub trait Remember: Sized {
    /// Writes all of it.
    fn write(&self, writer: &mut Writer);

    /// Reads it back; `None` for what was not written so.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;
}

/// The place of one part.
#[derive(Debug)]
pub struct Place<T> {
    record: Option<(Record, Clock)>,
    part: PhantomData<fn() -> T>,
}

impl Memory {
    /// Opens the memory in `file`, as far as it was written for these checks by a program of this version.
    pub fn open<'a>(file: File, clock: Clock, checks: impl IntoIterator<Item = &'a Check>) -> Self {
        let mut hasher = DefaultHasher::new();
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        for check in checks {
            format!("{check:?}").hash(&mut hasher);
        }
        Self { store: Some((Store::open(file, hasher.finish()), clock)) }
    }

    /// Returns the place `index`.
    pub fn place<T: Remember>(&self, index: usize) -> Place<T> {
        let record = self.store.as_ref().map(|(store, clock)| (store.record(index), *clock));
        Place { record, part: PhantomData }
    }
}

impl Clock {
    /// Returns the present moment.
    ///
    /// # Errors
    /// The kernel has no such clock.
    pub fn now() -> io::Result<Self> {
        let monotonic = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
        Ok(Self { instant: Instant::now(), monotonic: monotonic.into() })
    }
}

impl<T: Remember> Place<T> {
    /// Returns what was kept last, by this worker or the one before.
    pub fn recall(&self) -> Option<T> {
        let (record, clock) = self.record.as_ref()?;
        T::read(&mut Reader::new(record.read()?, *clock))
    }

    /// Keeps `part`. Where it cannot be written the next worker knows less, and this one goes on.
    pub fn keep(&mut self, part: &T) {
        let Some((record, clock)) = &mut self.record else { return };
        let mut writer = Writer::new(*clock);
        part.write(&mut writer);
        if let Err(error) = record.write(&writer.finish()) {
            tracing::debug!(%error, "what the next worker should know cannot be kept");
        }
    }
}

/// When the pod began to be drained, as the time since 1970.
impl Remember for Option<Duration> {
    fn write(&self, writer: &mut Writer) {
        writer.duration(self.unwrap_or_default());
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.duration().map(|since| Some(since).filter(|since| !since.is_zero()))
    }
}

#[cfg(test)]
mod tests;
