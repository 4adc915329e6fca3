//! Around every request: its id, panics, error bodies, security headers, counters, the log.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use super::Api;
use super::bodies::Shape;
use super::error::Failure;
use super::request_id::RequestId;

/// What the console may load and talk to: itself. Leptos needs `wasm-unsafe-eval`.
pub const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

/// Headers of every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// The outermost layer.
pub async fn around(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let began = api.stopwatch.elapsed();
    let RequestId(id) = RequestId::of(api.control.new_id());
    let shape = Shape::of(request.uri().path());
    // For the log and for error bodies; all three are cheap to clone.
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let host = request.headers().get(header::HOST).cloned();
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));

    let mut response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let what = panic
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            tracing::error!(request = %id, %method, path = uri.path(), panic = what, "a handler panicked");
            api.metrics.panicked();
            Failure::Internal.into_response()
        }
    };
    let failure = response.extensions_mut().remove::<Failure>();
    // What is 503 without a refusal is a check of health, in its own words.
    let status = response.status();
    let bare = failure.is_none() && status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE;
    if let Some(failure) = failure.or(bare.then_some(Failure::Internal)) {
        let auth_url = format!("{}/v3", api.base_for(host.as_ref()));
        response = failure.write(shape, &id, &auth_url, response);
    }
    let status = response.status();
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if api.secure() {
        let value = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, value);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    let took = api.stopwatch.elapsed().saturating_sub(began);
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    api.metrics.answered(status.as_u16(), micros);
    // What is not available says so where it is found out, once a minute, and not at every request.
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(request = %id, %method, path = uri.path(), status = status.as_u16(), micros, "failed");
    } else {
        tracing::debug!(request = %id, %method, path = uri.path(), status = status.as_u16(), micros);
    }
    response
}
