//! `GET /livez` and `GET /readyz` where the answer is `ok`: what a kubelet asks all day is answered before any router.

use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::Full;
use hyper::body::Bytes;
use prometheus::IntCounter;

use super::{Site, routes};
use crate::probe::Probe;

/// The probes whose questions change nothing, each with its path.
const QUESTIONS: [(&str, Probe); 2] = [("/livez", Probe::Liveness), ("/readyz", Probe::Readiness)];

/// The answer `ok`, ready to be given.
#[derive(Debug)]
pub(super) struct Quick {
    site: Arc<Site>,
    headers: HeaderMap,
    answered: [IntCounter; QUESTIONS.len()],
}

impl Quick {
    pub(super) fn new(site: Arc<Site>) -> Self {
        let answered =
            QUESTIONS.map(|(path, _)| site.metrics.http_requests.with_label_values(&[path, "200"]));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(routes::TEXT));
        routes::set_headers(&mut headers);
        Self { site, headers, answered }
    }

    /// The answer, or nothing where more is to be said or done.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Option<Response<Full<Bytes>>> {
        let (uri, is_get) = (request.uri(), request.method() == Method::GET);
        let asked = QUESTIONS.iter().position(|(path, _)| *path == uri.path() && uri.query().is_none());
        let asked = asked.filter(|&asked| is_get && self.site.board.passes(QUESTIONS[asked].1))?;
        self.answered[asked].inc();
        let mut response = Response::new(Full::new(Bytes::from_static(b"ok")));
        *response.headers_mut() = self.headers.clone();
        Some(response)
    }
}
