//! Answers that may be large: few at a time, and each keeps its place until its reader has taken it.
//!
//! Without that, readers who never read would hold one whole document each.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use axum::middleware::Next;
use http_body_util::{BodyExt, Collected};
use hyper::body::{Bytes, Frame, SizeHint};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many there are at a time.
static PLACES: Semaphore = Semaphore::const_new(4);

/// How much is handed to the connection at once, in bytes.
const PIECE: usize = 16 * 1024;

/// Waits for a place before the answer is made.
pub(super) async fn one_of_few(request: Request, next: Next) -> Response<Body> {
    let place = PLACES.acquire().await.ok();
    let (head, body) = next.run(request).await.into_parts();
    let rest = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    Response::from_parts(head, Body::new(Large { rest, _place: place }))
}

/// What is left of an answer. It ends only when the connection has taken its last piece.
struct Large {
    rest: Bytes,
    _place: Option<SemaphorePermit<'static>>,
}

impl hyper::body::Body for Large {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let size = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(size);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
