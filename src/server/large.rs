//! Answers that may be large: few at a time, and each keeps its place for as long as its reader goes on taking it.
//!
//! Without that, readers who never read would hold one whole document each, or every place.

use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::middleware::Next;
use http_body_util::{BodyExt, Collected};
use hyper::body::{Bytes, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use crate::lock::lock;

/// The most such answers at a time.
const MAX_ANSWERS: usize = 4;

/// The most that is handed to the connection at once.
const MAX_PIECE_BYTES: usize = 16 * 1024;

/// A reader that has taken nothing for so long loses its place where others wait for one.
const PATIENCE: Duration = Duration::from_millis(250);

/// The connections that may be answered.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    held: Mutex<Vec<Weak<Held>>>,
}

/// The rest of an answer; nothing once its place was lost.
type Held = Mutex<Option<HeldAnswer>>;

#[derive(Debug)]
struct HeldAnswer {
    rest: Bytes,
    /// When the connection took the last piece.
    taken: Instant,
    _place: Option<OwnedSemaphorePermit>,
}

/// Waits for a place before the answer is made.
pub(super) async fn one_of_few(
    State(places): State<Arc<Places>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let place = places.take().await;
    let (head, body) = next.run(request).await.into_parts();
    let rest = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    Response::from_parts(head, Body::new(places.hold(rest, place)))
}

impl Default for Places {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(MAX_ANSWERS)), held: Mutex::default() }
    }
}

impl Places {
    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.free).acquire_owned();
        tokio::pin!(place);
        loop {
            tokio::select! {
                biased;
                place = &mut place => return place.ok(),
                () = sleep(PATIENCE) => self.let_go(),
            }
        }
    }

    fn hold(&self, rest: Bytes, place: Option<OwnedSemaphorePermit>) -> Large {
        let held = Arc::new(Mutex::new(Some(HeldAnswer { rest, taken: Instant::now(), _place: place })));
        let mut all = lock(&self.held);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&held));
        Large(held)
    }

    /// Takes the places of those who take nothing.
    fn let_go(&self) {
        for held in lock(&self.held).iter().filter_map(Weak::upgrade) {
            lock(&held).take_if(|answer| answer.taken.elapsed() >= PATIENCE);
        }
    }
}

/// An answer while it is taken. It ends only when the connection has taken its last piece.
struct Large(Arc<Held>);

/// The error of a connection that has lost its place; it closes.
#[derive(Debug, thiserror::Error)]
#[error("the reader took nothing while others waited")]
struct Lost;

impl hyper::body::Body for Large {
    type Data = Bytes;
    type Error = Lost;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Lost>>> {
        let mut held = lock(&self.0);
        let Some(answer) = held.as_mut() else { return Poll::Ready(Some(Err(Lost))) };
        answer.taken = Instant::now();
        let size = answer.rest.len().min(MAX_PIECE_BYTES);
        // A copy, since a part that a connection cannot send would keep the whole.
        let piece = Bytes::copy_from_slice(&answer.rest.split_to(size));
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).as_ref().is_some_and(|answer| answer.rest.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        let left = lock(&self.0).as_ref().map(|answer| answer.rest.len() as u64);
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_makes_room_for_those_who_wait_and_nobody_else_does() {
        let places = Places::default();
        let mut answers = Vec::new();
        for _ in 0..MAX_ANSWERS {
            let place = places.take().await;
            answers.push(places.hold(Bytes::from(vec![b'x'; 64 * MAX_PIECE_BYTES]), place));
        }
        sleep(PATIENCE * 10).await;
        let mut reader = answers.pop().unwrap();
        let mut takes = async || reader.frame().await.is_some_and(|piece| piece.is_ok());
        assert!(takes().await, "nobody else waits");
        let taking = async {
            while takes().await {
                sleep(PATIENCE / 2).await;
            }
        };
        let began = Instant::now();
        tokio::select! {
            place = places.take() => assert!(place.is_some()),
            () = taking => panic!("a reader who takes has lost its place"),
        }
        assert_eq!(began.elapsed(), PATIENCE);
        for lost in &mut answers {
            assert!(lost.frame().await.is_some_and(|piece| piece.is_err()));
        }
        assert!(takes().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_once_the_last_piece_was_taken() {
        let places = Places::default();
        for _ in 0..3 * MAX_ANSWERS {
            let place = places.take().await;
            let whole = places.hold(Bytes::from(vec![b'x'; 3 * MAX_PIECE_BYTES + 1]), place).collect().await;
            assert_eq!(whole.unwrap().to_bytes().len(), 3 * MAX_PIECE_BYTES + 1);
        }
        assert_eq!((lock(&places.held).len(), places.free.available_permits()), (1, MAX_ANSWERS));
    }
}
