//! `file:`: a file exists, was modified recently enough (the heartbeat of a worker that has no port) and holds what it
//! should; or, with `_ABSENT`, does not exist.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::content::{Content, MAX_CONTENT_BYTES};
use super::place::Inside;
use super::reason::io_reason;
use super::room::{Room, SMALL};
use super::{Attempt, Stage, small_file};
use crate::blocking::Place;
use crate::grammar::{self, OptionReader, options, values};
use crate::outcome::Outcome;

/// A file and what it has to be like.
#[derive(Debug)]
pub struct File {
    path: Arc<PathBuf>,
    /// The container whose file it is, if that is not the sidecar's.
    inside: Option<Arc<Inside>>,
    place: Place,
    is_to_be_absent: bool,
    max_age: Option<Duration>,
    content: Option<Box<Content>>,
}

/// A file as it is.
struct Found {
    about: Metadata,
    /// As much of its beginning as was asked for.
    content: Vec<u8>,
}

impl File {
    /// Takes `_MAX_AGE_SECONDS`, `_IN_PROCESS`, `_ABSENT` and the options of content.
    pub fn new(path: &grammar::path::Path, reader: &mut OptionReader) -> Self {
        let max_age = reader.take(options::MAX_AGE_SECONDS, values::seconds(0.01));
        let inside = Inside::parse(reader).map(Arc::new);
        let content = Content::take(reader);
        let is_to_be_absent = reader.take(options::ABSENT, values::boolean).unwrap_or(false);
        if is_to_be_absent && (max_age.is_some() || content.is_some()) {
            reader.reject(options::ABSENT, "true", "a file that is absent has neither an age nor content");
        }
        let path = Arc::new(PathBuf::from(&path.0));
        Self { path, inside, place: Place::default(), is_to_be_absent, max_age, content }
    }

    async fn hold_to_it(&self, stage: &Stage<'_>) -> Result<(), String> {
        let name = self.path.display();
        let wrong = |reason: String| format!("{name}: {reason}");
        let limit = if self.content.is_some() { SMALL + 1 } else { 0 };
        let mut found = match self.look(limit).await? {
            Err(error) if error.kind() == ErrorKind::NotFound && self.is_to_be_absent => return Ok(()),
            found => found.map_err(|error| wrong(io_reason(&error)))?,
        };
        if self.is_to_be_absent {
            return Err(wrong("it exists, and should not".to_owned()));
        }
        self.judge(&found.about, SystemTime::now()).map_err(wrong)?;
        let Some(content) = &self.content else { return Ok(()) };
        let mut room = None;
        if found.content.len() > SMALL {
            room = Some(Room::get().await?);
            found = self.look(MAX_CONTENT_BYTES).await?.map_err(|error| wrong(io_reason(&error)))?;
        }
        let judged = content.judge("its content", &Bytes::from(found.content), &self.place, stage).await;
        drop(room);
        judged.map_err(wrong)
    }

    /// Looks for the file beside the worker's thread, since no file system promises to answer, and reads as many bytes.
    /// The inner error is the file's.
    async fn look(&self, limit: usize) -> Result<io::Result<Found>, String> {
        let (path, inside) = (self.path.clone(), self.inside.clone());
        let look = move || match inside {
            None => Ok(Found::at(&path, limit)),
            Some(inside) => {
                let found = inside.open(&path)?;
                // The only name by which what is open already can be read.
                let name = |file: &fs::File| PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
                Ok(found.and_then(|file| Found::at(&name(&file), limit)))
            }
        };
        self.place.run(self.silence(), look).await?
    }

    fn silence(&self) -> String {
        format!("the file system did not answer for {}", self.path.display())
    }

    fn judge(&self, file: &Metadata, now: SystemTime) -> Result<(), String> {
        if file.is_dir() {
            return Err("is a directory, not a file".to_owned());
        }
        let Some(limit) = self.max_age else { return Ok(()) };
        let modified = file.modified().map_err(|error| io_reason(&error))?;
        match now.duration_since(modified) {
            Ok(age) if age > limit => {
                Err(format!("was modified {:.1} s ago, {limit:?} is allowed", age.as_secs_f64()))
            }
            // Trusting the future would hide that the heart has stopped.
            Err(ahead) if ahead.duration() > limit => {
                Err(format!("was modified {:.1} s in the future", ahead.duration().as_secs_f64()))
            }
            _ => Ok(()),
        }
    }
}

impl Found {
    fn at(path: &Path, limit: usize) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        if limit == 0 || about.is_dir() {
            return Ok(Self { about, content: Vec::new() });
        }
        let content = small_file::open(path).and_then(|file| small_file::read_beginning(file, limit))?;
        Ok(Self { about, content })
    }
}

impl Attempt for File {
    async fn attempt(&self, stage: &Stage<'_>) -> Outcome {
        self.hold_to_it(stage).await.map_or_else(Outcome::failure, |()| Outcome::Success)
    }

    fn inside(&self) -> Option<&Inside> {
        self.inside.as_deref()
    }

    fn place(&self) -> Option<&Place> {
        Some(&self.place)
    }

    fn timed_out(&self, _: &Stage<'_>, timeout: Duration) -> Outcome {
        Outcome::timeout(format!("timeout: {} within {timeout:?}", self.silence()))
    }
}
