//! kubia, the classic app: it serves for a while, and then it does not feel well.

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::DemoError;
use crate::targets::dial::BoxStream;

/// The time from its start until it listens.
const BOOT: Duration = Duration::from_millis(800);

/// The pause after an accept failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Requests are counted in rounds of so many.
pub(super) const ROUND: u64 = 10;

/// So many of them are answered well, the rest with 400.
const WELL: u64 = 6;

/// The app, container after container.
pub(super) struct Kubia {
    port: u16,
    served: Arc<AtomicU64>,
}

impl Kubia {
    pub(super) fn new(port: u16) -> Self {
        Self { port, served: Arc::default() }
    }

    /// Returns how many requests the present container has answered.
    pub(super) fn served(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.served)
    }

    /// Runs one life of kubia; dropping the future kills it, connections included. It exits by itself only when it
    /// cannot listen.
    pub(super) async fn run(&self, container: u64) -> DemoError {
        self.served.store(0, Ordering::Relaxed);
        sleep(BOOT).await;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await {
            Ok(listener) => match self.serve(listener, container).await {},
            Err(error) => DemoError::Kubia(self.port, error),
        }
    }

    async fn serve(&self, listener: TcpListener, container: u64) -> Infallible {
        let mut connections = JoinSet::new();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(connections.spawn(converse(stream, self.served(), container))),
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
            while connections.try_join_next().is_some() {}
        }
    }
}

/// Answers the requests of one connection; a client that breaks it is no concern of the app.
async fn converse(stream: TcpStream, served: Arc<AtomicU64>, container: u64) {
    let answer = service_fn(move |_: Request<Incoming>| {
        let number = served.fetch_add(1, Ordering::Relaxed) + 1;
        async move { response(container, number) }
    });
    // Of the server's type, or hyper would be in the binary twice.
    let stream: BoxStream = Box::new(stream);
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

fn response(container: u64, number: u64) -> io::Result<Response<Full<Bytes>>> {
    let (status, body) = if is_well(number) {
        (StatusCode::OK, format!("You've hit kubia, container {container}, request {number}\n"))
    } else {
        (StatusCode::BAD_REQUEST, "I'm not well. Please restart me!\n".to_owned())
    };
    Response::builder().status(status).body(Full::from(body)).map_err(io::Error::other)
}

/// Returns whether the request with this number, counted from 1, is answered well.
pub(super) const fn is_well(number: u64) -> bool {
    (number - 1) % ROUND < WELL
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[test]
    fn the_7th_to_10th_of_every_ten_requests_are_answered_400() {
        let codes: Vec<_> = (1..=22).map(|number| response(1, number).unwrap().status().as_u16()).collect();
        let ten = [200, 200, 200, 200, 200, 200, 400, 400, 400, 400];
        assert_eq!(codes, [&ten[..], &ten, &[200, 200]].concat());
    }

    #[tokio::test]
    async fn it_says_who_was_hit_or_that_it_is_ill() {
        let mut bodies = Vec::new();
        for number in [1, 7] {
            bodies.push(response(2, number).unwrap().into_body().collect().await.unwrap().to_bytes());
        }
        assert_eq!(
            bodies,
            ["You've hit kubia, container 2, request 1\n", "I'm not well. Please restart me!\n"]
        );
    }
}
