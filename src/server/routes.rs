//! The routes of contract section 4. Callers only read, but for the two things that the kubelet does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, MatchedPath, Path, RawQuery, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};

use super::answer::{self, WITHHELD};
use super::large::{self, Places};
use super::question::{self, Query, wait_until_started};
use super::{AppState, document};
use crate::life::StartupPath;
use crate::page;
use crate::probe::Probe;
use crate::verdict::Finding;

/// The routes and the codes that they can answer, so that each series exists from the start.
const SERIES: [(&str, &[&str]); 11] = [
    ("/", &["200", "403"]),
    ("/-/healthy", &["200", "503"]),
    ("/drain", &["200", "403"]),
    ("/livez", &["200", "404", "503"]),
    ("/livez/{check}", &["200", "404", "503"]),
    ("/metrics", &["200"]),
    ("/readyz", &["200", "404", "503"]),
    ("/readyz/{check}", &["200", "404", "503"]),
    ("/startupz", &["200", "404", "503"]),
    ("/startupz/{check}", &["200", "404", "503"]),
    ("/status", &["200", "403"]),
];

/// The connection by which a request comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// The type of the answers for people.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

type Shared = State<Arc<AppState>>;

/// Returns all routes over `state`.
pub(super) fn router(state: Arc<AppState>) -> Router {
    for (route, codes) in SERIES {
        for code in codes {
            drop(state.metrics.http_requests.with_label_values(&[route, code]));
        }
    }
    let audience = || from_fn_with_state(Arc::clone(&state), for_its_audience);
    let mut router = Router::new()
        .route("/", get(status_page).layer(audience()))
        .route("/-/healthy", get(healthy))
        .route("/drain", post(drain))
        .route("/metrics", get(metrics))
        .route(
            "/status",
            get(status)
                .layer(from_fn_with_state(Arc::<Places>::default(), large::one_of_few))
                .layer(audience()),
        );
    for probe in Probe::ALL {
        router = router
            .route(&format!("/{}", probe.path()), whole(probe))
            .route(&format!("/{}/{{check}}", probe.path()), single(probe));
    }
    router
        .fallback(|| async { text(StatusCode::NOT_FOUND, "not found\n") })
        .layer(from_fn_with_state(Arc::clone(&state), finish))
        .with_state(state)
}

/// Counts each answer under its route, and adds the headers that all answers have.
async fn finish(State(state): Shared, request: Request, next: Next) -> Response<Body> {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    let route = route.as_ref().map_or("other", |route| route.as_str());
    state.metrics.http_requests.with_label_values(&[route, response.status().as_str()]).inc();
    set_headers(response.headers_mut());
    response
}

/// Sets the headers that all answers have.
pub(super) fn set_headers(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Answers `/livez`, `/readyz` and `/startupz`.
fn whole(probe: Probe) -> MethodRouter<Arc<AppState>> {
    get(move |State(state): Shared, RawQuery(query): RawQuery, headers: HeaderMap| async move {
        let query = Query::parse(query.as_deref());
        let Some(scope) = query.scope(&state.pod) else {
            return text(StatusCode::NOT_FOUND, "no such container: no check names it by _CONTAINER\n");
        };
        let path = (probe == Probe::Startup).then_some(StartupPath::Whole);
        let is_kubelet = question::is_kubelet(&state, probe, &headers);
        if is_kubelet {
            state.pod.kubelet_asks(scope, path);
        }
        if probe == Probe::Startup {
            wait_until_started(&state.pod, scope, query.wait).await;
        }
        let (passes, body) = if query.is_plain() && state.pod.passes(probe, scope) {
            (true, "ok".to_owned())
        } else {
            let verdict = state.pod.verdict(probe, scope, &query.excluded);
            (verdict.passes(), answer::text(probe, &verdict, query.verbose, state.details))
        };
        if let Some(path) = path.filter(|_| is_kubelet && passes) {
            state.pod.kubelet_told(scope, path);
        }
        text(code(passes), body)
    })
}

/// Answers `/livez/NAME`, `/readyz/NAME` and `/startupz/NAME`.
fn single(probe: Probe) -> MethodRouter<Arc<AppState>> {
    get(move |State(state): Shared, Path(name): Path<String>, headers: HeaderMap| async move {
        let Some(entry) = state.pod.entry(probe, &name) else {
            return text(StatusCode::NOT_FOUND, "no such check\n");
        };
        let path = entry.startup_path().filter(|_| probe == Probe::Startup);
        let is_kubelet = question::is_kubelet(&state, probe, &headers);
        if is_kubelet {
            state.pod.kubelet_asks(entry.scope(), path);
        }
        if let Finding::Failed(why) = state.pod.finding(probe, entry) {
            let reason = if state.details { why.to_string() } else { WITHHELD.to_owned() };
            return text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n"));
        }
        if let Some(path) = path.filter(|_| is_kubelet) {
            state.pod.kubelet_told(entry.scope(), path);
        }
        text(StatusCode::OK, "ok")
    })
}

async fn healthy(State(state): Shared) -> Response<Body> {
    let late = state.pod.stale();
    if late.is_empty() {
        return text(StatusCode::OK, "ok");
    }
    let lines = late.iter().map(|(name, why)| format!("[-]{name} {why}\n"));
    text(StatusCode::SERVICE_UNAVAILABLE, lines.collect::<String>())
}

/// Headers that a web page or a proxy adds to a request of somebody else's.
const FOREIGN: [&str; 5] = ["forwarded", "origin", "sec-fetch-site", "via", "x-forwarded-for"];

/// Drains for a caller in this pod who speaks for nobody else: a browser names the page's origin, a rebound name its
/// host, and a proxy in the pod whom it speaks for.
async fn drain(
    State(state): Shared,
    Extension(Peer(ip)): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    if !is_own(ip, &headers) || !is_addressed_to_loopback(&uri, &headers) {
        return text(StatusCode::FORBIDDEN, "only health-proxy drain, in this pod, may do this\n");
    }
    state.pod.drain();
    text(StatusCode::OK, "draining\n")
}

/// Lets the page and the document behind it be seen by those who may.
async fn for_its_audience(
    State(state): Shared,
    Extension(Peer(ip)): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response<Body> {
    if state.is_status_private && !is_own(ip, request.headers()) {
        let message = "only for this pod (HEALTH_PROXY_STATUS=loopback): kubectl port-forward, or \
                       kubectl exec with health-proxy get status\n";
        return text(StatusCode::FORBIDDEN, message);
    }
    next.run(request).await
}

async fn metrics(State(state): Shared) -> Response<Body> {
    match state.metrics.scrape(&state.pod) {
        Ok(scrape) => typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", Body::new(scrape)),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

async fn status_page() -> Response<Body> {
    let mut response = typed(StatusCode::OK, "text/html; charset=utf-8", page::DOCUMENT);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

async fn status(State(state): Shared) -> Response<Body> {
    let document = document::Document::of(&state);
    match serde_json::to_string(&document) {
        Ok(body) => typed(StatusCode::OK, "application/json", body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// Returns whether a request comes from a caller in this pod, who speaks for nobody else. A mesh hands on what comes
/// from the network by a different address of loopback: Istio by 127.0.0.6 (`InboundPassthroughCluster`).
fn is_own(peer: IpAddr, headers: &HeaderMap) -> bool {
    let peer = peer.to_canonical();
    let is_loopback = peer == Ipv4Addr::LOCALHOST || peer == Ipv6Addr::LOCALHOST;
    is_loopback && !FOREIGN.iter().any(|name| headers.contains_key(*name))
}

/// Returns whether the one host that a request names is loopback: an absolute URI or a second `Host` would be a
/// different one.
fn is_addressed_to_loopback(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
    let (Some(host), None, None) = (hosts.next(), hosts.next(), uri.authority()) else { return false };
    let (name, port) = host.rsplit_once(':').filter(|_| !host.ends_with(']')).unwrap_or((host, "0"));
    let ip = name.trim_matches(['[', ']']).parse::<IpAddr>();
    port.parse::<u16>().is_ok() && (name == "localhost" || ip.is_ok_and(|ip| ip.is_loopback()))
}

const fn code(passes: bool) -> StatusCode {
    if passes { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn text(code: StatusCode, body: impl Into<Body>) -> Response<Body> {
    typed(code, TEXT, body)
}

fn typed(code: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
