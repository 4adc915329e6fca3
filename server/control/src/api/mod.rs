//! The HTTP surface: `/v3` (Identity), `/v2.0` (Networking), `/portolan/v1` (the console's).
//!
//! [`router`] is the whole of it. [`outer`] is around everything: request id, panics, error bodies,
//! security headers, counters. [`once`] answers repeated creates. [`context`] is the one extractor that says who calls, in which
//! project and with what rights. [`fields`] reads bodies attribute by attribute; [`bodies`] writes
//! refusals in each API's shape. Handlers are short: extract, authorise, read the view or ask the
//! writer, convert.
//!
//! Never here: a decision about objects (the writer's), SQL, or a cache.

pub mod bodies;
pub mod context;
pub mod error;
pub mod fields;
pub mod metrics;
pub mod once;
pub mod outer;
pub mod paths;
pub mod reply;
pub mod request_id;
pub mod resources;
pub mod route;
pub mod status;
pub mod v1;
pub mod v2;
pub mod v3;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use portolan_shared::refusal::Refusal;
use portolan_sources::{Stopwatch, Workers};
use tokio::sync::watch;

use crate::console;
use crate::control::Control;
use crate::identity::password::Passwords;
use crate::nodes::Tokens;
use error::Failure;
use metrics::Metrics;
use route::{Route, get};

/// Largest request body in bytes.
pub const BODY_MAX: usize = 1 << 20;

/// Everything handlers share.
pub struct Api {
    /// The core.
    pub control: Control,
    /// Checks log-ins.
    pub passwords: Passwords,
    /// Makes join tokens; `None` without an agent endpoint.
    pub tokens: Option<Tokens>,
    /// Whether a lab runs beside it that makes clusters' nodes.
    pub lab: bool,
    /// `scheme://host` that clients use, when it is not what their requests say; no slash at the end.
    pub public_url: Option<String>,
    /// Counters.
    pub metrics: Metrics,
    /// The open event streams.
    pub streams: v1::events::Streams,
    /// Turns true when the server ends: streams end then.
    pub ending: watch::Receiver<bool>,
    /// Measures how long answers take.
    pub stopwatch: Arc<dyn Stopwatch>,
    /// Threads for work that blocks or takes long.
    pub workers: Workers,
}

impl Api {
    /// Whether clients reach this server by TLS, spoken by something in front of it.
    pub fn secure(&self) -> bool {
        self.public_url
            .as_deref()
            .is_some_and(|url| url.starts_with("https://"))
    }

    /// `scheme://host` of links in answers: as configured, else as the client has it.
    pub fn base(&self, headers: &HeaderMap) -> String {
        self.base_for(headers.get(header::HOST))
    }

    /// [`Self::base`] for a request with this `Host`.
    pub fn base_for(&self, host: Option<&HeaderValue>) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let host = host.and_then(|host| host.to_str().ok()).filter(|host| plain_host(host));
        format!("http://{}", host.unwrap_or("localhost"))
    }
}

/// A `Host` that may be put into a link: a name or address, with a port.
fn plain_host(host: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_');
    !host.is_empty() && host.len() <= 255 && host.bytes().all(fits)
}

/// The APIs: where they are, and their routes.
fn apis() -> [(&'static str, Vec<Route>); 3] {
    [
        ("/portolan/v1", v1::routes()),
        ("/v3", v3::routes()),
        ("/v2.0", v2::routes()),
    ]
}

/// What is beside the APIs.
fn own() -> Vec<Route> {
    vec![
        get("/v3/", v3::version),
        get("/v2.0/", v2::resources),
        get("/", root),
        get("/healthz", healthz),
        get("/readyz", readyz),
        get("/metrics", metrics::show),
    ]
}

/// Method and path of everything that can be called.
pub fn routes() -> Vec<(Method, String)> {
    let own = own().into_iter().map(|route| (route.method, route.path.to_owned()));
    let nested = apis().into_iter().flat_map(|(prefix, routes)| {
        routes.into_iter().map(move |route| match route.path {
            "/" => (route.method, prefix.to_owned()),
            path => (route.method, format!("{prefix}{path}")),
        })
    });
    own.chain(nested).collect()
}

/// The whole HTTP surface.
pub fn router(api: Arc<Api>) -> Router {
    apis()
        .into_iter()
        .fold(route::router(own()), |router, (prefix, routes)| {
            router.nest(prefix, route::router(routes))
        })
        .fallback(elsewhere)
        .method_not_allowed_fallback(async || Failure::Method)
        .layer(middleware::from_fn_with_state(Arc::clone(&api), outer::around))
        .with_state(api)
}

/// A browser gets the console, an OpenStack client the versions of the Networking API.
async fn root(State(api): State<Arc<Api>>, headers: HeaderMap, uri: Uri) -> Response {
    let accepts = |what: &str| {
        headers
            .get("accept")
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains(what))
    };
    let mut response = if accepts("text/html") {
        console::serve(uri.path(), &headers)
    } else {
        v2::versions(&api, &headers)
    };
    response
        .headers_mut()
        .append("vary", HeaderValue::from_static("accept"));
    response
}

/// All other paths belong to the console, except those below an API, which are not found.
async fn elsewhere(method: Method, headers: HeaderMap, uri: Uri) -> Response {
    let ours = ["/v2.0", "/v3", "/portolan", "/healthz", "/readyz", "/metrics"];
    if ours.iter().any(|prefix| uri.path().starts_with(prefix)) {
        return Failure::NoRoute.into_response();
    }
    match method.as_str() {
        "GET" | "HEAD" => console::serve(uri.path(), &headers),
        _ => Failure::Method.into_response(),
    }
}

/// The health check. It answers only once the store is loaded, and fails when the writer has ended.
async fn healthz(State(api): State<Arc<Api>>) -> (StatusCode, &'static str) {
    health(api.control.lives())
}

fn health(writer_lives: bool) -> (StatusCode, &'static str) {
    if writer_lives {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the writer has ended")
    }
}

/// Whether writes are taken: what a load balancer asks. A process that is not ready may be well, such as one whose disk is
/// full: to start it again would help nobody.
///
/// Anybody may ask, so the store's own words, which may name its host, are for the log alone.
async fn readyz(State(api): State<Arc<Api>>) -> (StatusCode, String) {
    match api.control.why_not_ready() {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(full @ Refusal::StoreFull {}) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {full}", full.code())),
        Some(why) => {
            let text = format!("{}: the store takes nothing now; the log says why", why.code());
            (StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_writer_it_is_not_well() {
        assert_eq!(health(true), (StatusCode::OK, "ok"));
        assert_eq!(health(false).0, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn hosts_that_go_into_links() {
        assert!(plain_host("127.0.0.1:8080") && plain_host("[::1]:8080") && plain_host("portolan.example"));
        for bad in ["", "a b", "a/b", "a\"b", "a<b", "a@b"] {
            assert!(!plain_host(bad), "{bad}");
        }
    }
}
