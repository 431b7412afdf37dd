//! The socket at which an app's messages arrive, on a volume that the app shares; one for all checks of its path.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram as Unregistered;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::said::Said;
use crate::blocking::Place;
use crate::grammar::path::UNREADY_SUFFIX;
use crate::life::Incarnation;
use crate::lock::lock;
use crate::targets::reason::io_reason;
use crate::targets::small_file;

/// The longest message, in bytes; systemd takes none that is longer either.
const MAX_MESSAGE_BYTES: usize = 4096;

/// The time between two looks whether the socket is still the one at its path.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// Between two looks for messages: whoever floods the socket waits for it.
const PAUSE: Duration = Duration::from_millis(10);

/// The most messages that are taken at a look.
const MESSAGES_AT_ONCE: usize = 64;

/// The longest file of what is kept beside a socket, in bytes: the identity of a boot, and two words.
const MAX_KEPT_BYTES: usize = 128;

/// Everybody may write to the socket who has its volume: apps run as whatever user they like.
const MODE: u32 = 0o666;

static POSTS: Mutex<Vec<Weak<Post>>> = Mutex::new(Vec::new());

/// The socket of one path; it is served until the last check of it is dropped.
#[derive(Debug)]
pub struct Post {
    path: PathBuf,
    state: watch::Sender<State>,
    life: Mutex<Life>,
}

/// The state of the app behind a socket.
#[derive(Debug)]
pub struct State {
    /// The messages of the app so far.
    pub said: Said,
    /// Whether it can say anything.
    pub socket: Socket,
}

/// The progress of a socket.
#[derive(Debug, PartialEq, Eq)]
pub enum Socket {
    /// It is being made.
    Opening,
    /// Messages arrive.
    Open,
    /// It cannot be made, or read.
    Failed(String),
}

/// The life of the container that is listened to.
#[derive(Debug, Default)]
struct Life {
    /// Different for every beginning; 0 before the first.
    id: u64,
    /// Counts from 1; 0 before the first.
    number: u64,
    server: Option<AbortHandle>,
}

impl Post {
    /// Returns the one at `path`. Nothing is made before [`Post::begin`].
    pub fn at(path: &Path) -> Arc<Self> {
        let mut posts = lock(&POSTS);
        posts.retain(|post| post.strong_count() > 0);
        let known = posts.iter().filter_map(Weak::upgrade).find(|post| post.path == path);
        known.unwrap_or_else(|| {
            let state = State { said: Said::nothing(Instant::now()), socket: Socket::Opening };
            let post = Arc::new(Self {
                path: path.to_owned(),
                state: watch::Sender::new(state),
                life: Mutex::default(),
            });
            posts.push(Arc::downgrade(&post));
            post
        })
    }

    /// Begins a life of the app's container, for whichever of its checks notices it first. Before the first one that
    /// this process sees, the container was there: what is remembered of it holds. Where the first one begins anew, only
    /// the time for a sign of life does.
    pub fn begin(&self, incarnation: Incarnation) {
        let Incarnation { id, number, .. } = incarnation;
        let mut life = lock(&self.life);
        if life.server.is_none() {
            let server =
                Server { path: self.path.clone().into(), state: self.state.clone(), place: Place::default() };
            life.server = Some(tokio::spawn(server.run()).abort_handle());
        } else if life.number != number {
            self.state.send_modify(|state| state.said.begin(Instant::now()));
        } else if life.id != id {
            self.state.send_modify(|state| state.said.begin_anew(Instant::now()));
        }
        (life.id, life.number) = (id, number);
    }

    /// Returns what is known, now and whenever it changes.
    pub fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        if let Some(server) = lock(&self.life).server.take() {
            server.abort();
        }
    }
}

/// The task that makes the socket and takes its messages.
struct Server {
    path: Arc<Path>,
    state: watch::Sender<State>,
    place: Place,
}

impl Server {
    async fn run(self) {
        let mut is_first = true;
        loop {
            let opened = self.apart(Opened::at).await.flatten();
            match opened.and_then(|opened| opened.registered().map_err(|error| io_reason(&error))) {
                Ok((socket, identity, remembered)) => {
                    let was_first = std::mem::take(&mut is_first);
                    self.open(remembered.filter(|_| was_first).as_deref());
                    self.take_messages(&socket, identity).await;
                }
                Err(reason) => {
                    let reason = format!("cannot make the socket {}: {reason}", self.path.display());
                    self.state.send_modify(|state| state.socket = Socket::Failed(reason));
                    sleep(LOOK_PERIOD).await;
                }
            }
        }
    }

    /// Opens the socket. The remembered state holds the first time; after that this process knows more.
    fn open(&self, remembered: Option<&str>) {
        self.state.send_modify(|state| {
            if let Some(text) = remembered {
                state.said = Said::remembered(text, Instant::now());
            }
            state.socket = Socket::Open;
        });
    }

    /// Takes messages until the socket is no longer the one at its path.
    async fn take_messages(&self, socket: &UnixDatagram, identity: SocketFile) {
        let mut look = Instant::now() + LOOK_PERIOD;
        let (mut changes, mut kept) = (self.state.subscribe(), None);
        loop {
            // Also when a new life has begun, of which nothing that was kept is true.
            let text = changes.borrow_and_update().said.to_remember();
            if kept != Some(text) {
                kept = Some(text);
                self.remember(text).await;
            }
            tokio::select! {
                biased;
                () = sleep_until(look) => {
                    look = Instant::now() + LOOK_PERIOD;
                    if self.is_gone(identity).await {
                        return tracing::warn!(path = %self.path.display(), "the socket was removed and is made again");
                    }
                }
                readable = socket.readable() => {
                    if readable.is_ok() {
                        self.hear(socket);
                    }
                    sleep(PAUSE).await;
                }
                _ = changes.changed() => {}
            }
        }
    }

    /// Returns whether nothing, or something else, stands at the path.
    async fn is_gone(&self, identity: SocketFile) -> bool {
        match self.apart(SocketFile::of).await {
            Ok(Ok(found)) => found != identity,
            Ok(Err(error)) => error.kind() == ErrorKind::NotFound,
            Err(_) => false,
        }
    }

    /// Takes what has arrived.
    fn hear(&self, socket: &UnixDatagram) {
        self.state.send_modify(|state| {
            let mut message = [0; MAX_MESSAGE_BYTES + 1];
            for _ in 0..MESSAGES_AT_ONCE {
                // A descriptor that comes along is closed, which is all that sd_notify_barrier(3) waits for.
                let Ok(length) = socket.try_recv(&mut message) else { break };
                let text = String::from_utf8_lossy(&message[..length]);
                tracing::debug!(path = %self.path.display(), message = %text, "the app says");
                if length <= MAX_MESSAGE_BYTES {
                    state.said.hear(&text, Instant::now());
                }
            }
        });
    }

    /// Keeps what the next sidecar has to know beside the socket: that outlives this container.
    async fn remember(&self, text: Option<&'static str>) {
        let kept = self.apart(move |path| keep(path, text)).await;
        if let Err(reason) = kept.and_then(|kept| kept.map_err(|error| io_reason(&error))) {
            let path = self.path.display();
            tracing::warn!(%path, reason, "a sidecar that is restarted will not know whether the app is ready");
        }
    }

    /// Makes a call beside the worker's thread, since no file system promises to answer.
    async fn apart<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Result<T, String> {
        let path = Arc::clone(&self.path);
        let silence = format!("the file system did not answer for {}", path.display());
        self.place.run(silence, move || call(&path)).await
    }
}

/// The identity of the file at a path. File systems give the inode of a removed file to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SocketFile {
    device: u64,
    inode: u64,
    /// In seconds since 1970, and nanoseconds.
    modified: (i64, i64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let about = fs::symlink_metadata(path)?;
        let modified = (about.mtime(), about.mtime_nsec());
        Ok(Self { device: about.dev(), inode: about.ino(), modified })
    }
}

/// A socket that has just been made.
struct Opened {
    socket: Unregistered,
    identity: SocketFile,
    remembered: Option<String>,
}

impl Opened {
    /// Makes the socket in the place of one that an earlier sidecar has left, and of nothing else. It gets its name when
    /// it has its mode: an app that speaks in between would be refused, and says a word once only.
    fn at(path: &Path) -> Result<Self, String> {
        let file_type = |path: &Path| fs::symlink_metadata(path).map(|about| about.file_type());
        if file_type(path).is_ok_and(|there| !there.is_socket()) {
            return Err("something else is there".to_owned());
        }
        let unready = beside(path, UNREADY_SUFFIX);
        let made = || {
            if file_type(&unready).is_ok_and(|there| there.is_socket()) {
                fs::remove_file(&unready)?;
            }
            let socket = Unregistered::bind(&unready)?;
            socket.set_nonblocking(true)?;
            fs::set_permissions(&unready, Permissions::from_mode(MODE))?;
            fs::rename(&unready, path)?;
            Ok(Self { socket, identity: SocketFile::of(path)?, remembered: kept(path) })
        };
        made().map_err(|error: io::Error| io_reason(&error))
    }

    fn registered(self) -> io::Result<(UnixDatagram, SocketFile, Option<String>)> {
        Ok((UnixDatagram::from_std(self.socket)?, self.identity, self.remembered))
    }
}

/// Returns the path of what stands beside `path`, under the same name with `suffix`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Returns the file in which is kept what an app does not say again.
fn memory_of(path: &Path) -> PathBuf {
    beside(path, ".state")
}

/// Returns what is different after each boot of the machine: volumes outlive one, and apps do not.
fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// Keeps `text` beside the socket, or nothing. The app may write there too, so the file is always a fresh one: what it
/// has put in its place is not written to.
fn keep(path: &Path, text: Option<&str>) -> io::Result<()> {
    let memory = memory_of(path);
    let Some(text) = text else { return remove(&memory) };
    let fresh = beside(&memory, UNREADY_SUFFIX);
    remove(&fresh)?;
    let mut file = OpenOptions::new().write(true).create_new(true).open(&fresh)?;
    file.write_all((boot() + text).as_bytes())?;
    fs::rename(&fresh, &memory)
}

/// Removes a file that need not be there.
fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
        .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Returns what was kept beside the socket since the machine was booted.
fn kept(path: &Path) -> Option<String> {
    let kept = small_file::read(&memory_of(path), MAX_KEPT_BYTES).ok()?;
    String::from_utf8(kept).ok()?.strip_prefix(&boot()).map(ToOwned::to_owned)
}
