//! What the fuzz targets share: a configuration from plain pairs, and a server that says given bytes.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use health_proxy::check::Check;
use health_proxy::config::{Config, ConfigError};
use health_proxy::runner::attempt;
use health_proxy::targets::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

/// Reads variables as the program does.
pub fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::read(variables.iter().map(|(name, value)| (name.into(), value.into())))
}

/// Returns one thread for both ends of a connection.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A check against a server that answers each connection with the bytes of the moment.
pub struct Peer {
    runtime: Runtime,
    local: LocalSet,
    bytes: Rc<RefCell<Vec<u8>>>,
    target: String,
    check: (Arc<Check>, Target),
}

/// Returns a check of `target` with `options`, where these are right.
fn check(target: &str, options: &[(&str, &str)]) -> Option<(Arc<Check>, Target)> {
    let mut variables = vec![("READINESS_A", target), ("READINESS_A_TIMEOUT_SECONDS", "0.02")];
    variables.extend(options);
    Some(read(&variables).ok()?.checks.remove(0))
}

impl Peer {
    /// Returns a peer for targets that begin with `form`, such as `http`.
    pub fn new(form: &str, options: &[(&str, &str)]) -> Self {
        let (runtime, local, bytes) = (runtime(), LocalSet::new(), Rc::new(RefCell::new(Vec::new())));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let target = format!("{form}://{}", listener.local_addr().expect("an address"));
        let check = check(&target, options).expect("a configuration");
        let (said, speaks_first) = (Rc::clone(&bytes), form == "mysql");
        local.spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let bytes = said.borrow().clone();
                tokio::task::spawn_local(async move {
                    // The request is read first, or closing would reset what was said.
                    if !speaks_first {
                        let _ = stream.read(&mut [0; 4096]).await;
                    }
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.shutdown().await;
                    while matches!(stream.read(&mut [0; 4096]).await, Ok(1..)) {}
                });
            }
        });
        Self { runtime, local, bytes, target, check }
    }

    /// Goes on with these options; returns whether they are right.
    pub fn ask_with(&mut self, options: &[(&str, &str)]) -> bool {
        let check = check(&self.target, options);
        check.map(|check| self.check = check).is_some()
    }

    /// Runs once against a server that says `bytes`; it comes to something, whatever they are.
    pub fn say(&self, bytes: &[u8]) {
        bytes.clone_into(&mut self.bytes.borrow_mut());
        let run = self.local.block_on(&self.runtime, attempt(&self.check.0, &self.check.1));
        assert!(run.duration.as_secs() < 5, "a run without an end");
    }
}
