//! Answers over HTTP, from memory: an internal accept loop under the router.
//!
//! `axum::serve` has no header timeout and lets a half-sent request hang the shutdown, so connections are
//! hyper's, each with small buffers, and of too many one of the peer with most makes room for the newest.

mod answer;
mod direct;
pub mod document;
mod large;
mod limiter;
mod question;
mod routes;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt;

use crate::metrics::Metrics;
use crate::pod::Pod;
use crate::targets::dial::BoxStream;
use direct::Direct;
use limiter::{Activity, Answering, ConnectionLimiter};

/// Everything that the answers are made of.
#[derive(Debug)]
pub struct AppState {
    /// The states.
    pub pod: Arc<Pod>,
    /// The series.
    pub metrics: Metrics,
    /// Whether reasons are told.
    pub details: bool,
    /// Whether only callers of this pod may see the page and the document behind it.
    pub is_status_private: bool,
    /// The key that the kubelet's question for the startup has to carry, if that is configured; a secret.
    pub startup_key: Option<Box<str>>,
}

/// A client that has not sent a whole request head by then is let go, in the middle or between two.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest request head, in bytes, and the size of a connection's buffers.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// The age at which a connection is asked to end; a client that goes on opens another. It bounds what a slow
/// reader can hold.
const LIFETIME: Duration = Duration::from_secs(30);

/// The age at which an answer says that it is the last, so that a caller who goes on is not met by a closed connection.
const LAST_ANSWER: Duration = Duration::from_secs(20);

/// The longest time that requests in flight may take once the server ends.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// The pause after an accept failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Answers on `listener` until `shutdown`, then lets the requests in flight finish.
pub async fn serve(listener: TcpListener, state: Arc<AppState>, shutdown: impl Future<Output = ()>) {
    let direct = Arc::new(Direct::new(Arc::clone(&state)));
    let router = routes::router(state);
    let (closing, _) = watch::channel(false);
    let mut connections = ConnectionLimiter::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (answers, closing) = ((Arc::clone(&direct), router.clone()), closing.subscribe());
                    let start = |activity| connection(stream, peer, answers, activity, closing);
                    connections.start(peer.ip(), start).await;
                }
                Err(error) => pause(&error, &mut connections).await,
            },
        }
    }
    drop(listener);
    closing.send_replace(true);
    let _ = timeout(LAST_REQUESTS, connections.all_ended()).await;
}

/// Waits after an accept error: it says nothing of the next one, but without descriptors that would come at once, for
/// ever.
async fn pause(error: &io::Error, connections: &mut ConnectionLimiter) {
    tracing::debug!(%error, "accept failed");
    if error.kind() != io::ErrorKind::ConnectionAborted {
        connections.end_one();
        sleep(ACCEPT_PAUSE).await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    (direct, router): (Arc<Direct>, Router),
    activity: Arc<Activity>,
    mut closing: watch::Receiver<bool>,
) {
    let (own, began) = (Arc::clone(&activity), Instant::now());
    let answer = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let answering = Answering::begin(&activity);
        let (at_once, router) = (direct.answer(&request), router.clone());
        async move {
            let mut answer = if let Some(answer) = at_once {
                answer
            } else {
                request.extensions_mut().insert(routes::Peer(peer.ip()));
                router.oneshot(request).await?
            };
            if began.elapsed() > LAST_ANSWER {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer.map(|body| answering.with(body)))
        }
    });
    // Behind the type that the demo uses too, or hyper would be in the binary twice.
    let stream: BoxStream = Box::new(stream);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), answer);
    let end = async { drop(timeout(LIFETIME, closing.wait_for(|closing| *closing)).await) };
    tokio::pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = end => {
            // One on which nothing is asked is closed at once.
            if !own.is_answering() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            timeout(HEADER_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = result {
        tracing::trace!(%error, %peer, "connection failed");
    }
}
