//! Answers over HTTP, from memory: an accept loop of our own under the router.
//!
//! `axum::serve` has no header timeout and lets a half-sent request hang the shutdown, so connections are
//! hyper's, each with small buffers, and the oldest of too many makes room for the newest.

mod answer;
pub mod document;
mod large;
mod quick;
mod routes;
mod seats;

use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, join};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use crate::board::Board;
use crate::metrics::Metrics;
use crate::targets::dial::BoxStream;
use quick::{Quick, Unanswered};
use seats::{Seat, Seats};

/// What the answers are made of.
#[derive(Debug)]
pub struct Site {
    /// The states.
    pub board: Arc<Board>,
    /// The series.
    pub metrics: Metrics,
    /// Whether reasons are told.
    pub details: bool,
}

/// A client that has not sent a whole request head by then is let go, in the middle or between two.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest request head, in bytes, and the size of a connection's buffers.
const HEAD_LIMIT: usize = 8 * 1024;

/// After which a connection is asked to end; a client that goes on opens another. It bounds what a slow
/// reader can hold.
const LIFETIME: Duration = Duration::from_secs(30);

/// How long requests in flight may take once the server ends.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// How long to wait after an accept failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Answers on `listener` until `shutdown`, then lets the requests in flight finish.
pub async fn serve(listener: TcpListener, site: Arc<Site>, shutdown: impl Future<Output = ()>) {
    let quick = Arc::new(Quick::new(Arc::clone(&site)));
    let router = routes::router(site);
    let (closing, _) = watch::channel(false);
    let mut seats = Seats::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let closing = closing.subscribe();
                    seats.take(|seat| connection(stream, peer, Arc::clone(&quick), router.clone(), seat, closing)).await;
                }
                Err(error) => pause(&error, &mut seats).await,
            },
        }
    }
    drop(listener);
    closing.send_replace(true);
    let _ = timeout(LAST_REQUESTS, seats.all_left()).await;
}

/// An accept error says nothing of the next one, but without descriptors it would come at once, for ever.
async fn pause(error: &io::Error, seats: &mut Seats) {
    tracing::debug!(%error, "accept failed");
    if error.kind() != io::ErrorKind::ConnectionAborted {
        seats.free_oldest();
        sleep(ACCEPT_PAUSE).await;
    }
}

async fn connection(
    mut stream: TcpStream,
    peer: SocketAddr,
    quick: Arc<Quick>,
    router: Router,
    seat: Arc<Seat>,
    mut closing: watch::Receiver<bool>,
) {
    let end = async { drop(timeout(LIFETIME, closing.wait_for(|closing| *closing)).await) };
    tokio::pin!(end);
    let result = match quick.answer(&mut stream, &seat, end.as_mut()).await {
        Ok(Some(begun)) => Box::pin(router_connection(stream, begun, peer, router, seat, end)).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = result {
        tracing::trace!(%error, %peer, "connection failed");
    }
}

/// Goes on with a connection from which `begun` has been read.
async fn router_connection(
    stream: TcpStream,
    begun: Unanswered,
    peer: SocketAddr,
    router: Router,
    seat: Arc<Seat>,
    end: Pin<&mut impl Future<Output = ()>>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let answer = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        seat.touch();
        request.extensions_mut().insert(routes::Peer(peer.ip()));
        router.clone().oneshot(request)
    });
    let (rest, write) = stream.into_split();
    // Behind the type that the demo uses too, or hyper would be in the binary twice.
    let stream: BoxStream = Box::new(join(Cursor::new(begun).chain(rest), write));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    tokio::select! {
        result = &mut connection => result?,
        () = end => {
            connection.as_mut().graceful_shutdown();
            timeout(HEADER_TIMEOUT, connection).await.unwrap_or(Ok(()))?;
        }
    }
    Ok(())
}
