//! Any bytes as what an app says over `sd_notify(3)`: the check goes on, and the next word counts.
#![no_main]

use std::future::pending;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use health_proxy::check::Check;
use health_proxy::handover::Past;
use health_proxy::runner::attempt;
use health_proxy::targets::Target;
use libfuzzer_sys::fuzz_target;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::yield_now;
use tokio::time::timeout;

/// Less than the sidecar's limit of a message, so that a word after these bytes is taken.
const MAX_BYTES: usize = 2048;

struct App {
    runtime: Runtime,
    /// The sidecar's socket.
    path: PathBuf,
    socket: UnixDatagram,
    check: (Arc<Check>, Target),
}

thread_local! {
    static APP: App = App::start();
}

impl App {
    /// Starts a sidecar that listens; the check that is asked shares its socket.
    fn start() -> Self {
        let path = std::env::temp_dir().join(format!("health-proxy-fuzz-{}", std::process::id()));
        let target = format!("notify:{}", path.display());
        let read = || health_proxy_fuzz::read(&[("READINESS_A", &target)]).expect("a configuration");
        let runtime = health_proxy_fuzz::runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let past = Past::empty().expect("memory");
        let worker = health_proxy::app::run(read(), listener, past, pending());
        runtime.spawn(async move { panic!("the worker ended: {:?}", worker.await) });
        let socket = UnixDatagram::unbound().expect("a socket");
        Self { runtime, path, socket, check: read().checks.remove(0) }
    }

    fn say(&self, bytes: &[u8]) {
        self.socket.send_to(bytes, &self.path).expect("the sidecar takes it");
    }

    /// Waits until the check passes, or does not.
    fn wait_until(&self, passes: bool) {
        let asking = async {
            while attempt(&self.check.0, &self.check.1).await.outcome.passed() != passes {
                yield_now().await;
            }
        };
        let asking = async { timeout(Duration::from_secs(5), asking).await };
        self.runtime.block_on(asking).expect("the last word counts");
    }
}

fuzz_target!(|bytes: &[u8]| APP.with(|app| {
    let bytes = &bytes[..bytes.len().min(MAX_BYTES)];
    // It makes its socket before it fails for the first time.
    app.wait_until(false);
    app.say(bytes);
    app.say(b"READY=1");
    app.wait_until(true);
    app.say(&[bytes, b"\nSTOPPING=1"].concat());
    app.wait_until(false);
}));
