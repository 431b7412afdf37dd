//! The kubelet's plainest questions, answered before the router: `GET /livez` and `GET /readyz` where the answer is `ok`.
//! A sidecar is asked little else all day; everything different goes to the router.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response};
use prometheus::IntCounter;

use super::{AppState, question, routes};
use crate::pod::Scope;
use crate::probe::Probe;

/// The probes whose questions begin no incarnation, each with its path.
const QUESTIONS: [(&str, Probe); 2] = [("/livez", Probe::Liveness), ("/readyz", Probe::Readiness)];

/// A route that answers `ok`.
#[derive(Debug)]
pub(super) struct Direct {
    state: Arc<AppState>,
    answered: [IntCounter; QUESTIONS.len()],
    headers: HeaderMap,
}

impl Direct {
    pub(super) fn new(state: Arc<AppState>) -> Self {
        let requests = &state.metrics.http_requests;
        let answered = QUESTIONS.map(|(path, _)| requests.with_label_values(&[path, "200"]));
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(routes::TEXT))]);
        routes::set_headers(&mut headers);
        Self { state, answered, headers }
    }

    /// Returns the answer, if it is a plain `ok`.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let path = request.uri().path_and_query().filter(|_| request.method() == Method::GET)?.as_str();
        let index = QUESTIONS.iter().position(|(question, _)| *question == path)?;
        let (_, probe) = QUESTIONS[index];
        // First, as in the router: it may begin an incarnation. Where the router answers, it is asked twice at once.
        if question::is_kubelet(&self.state, probe, request.headers()) {
            self.state.pod.kubelet_asks(Scope::Pod, None);
        }
        if !self.state.pod.passes(probe, Scope::Pod) {
            return None;
        }
        self.answered[index].inc();
        let mut response = Response::new(Body::from("ok"));
        *response.headers_mut() = self.headers.clone();
        Some(response)
    }
}
