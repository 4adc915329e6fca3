//! Answers: JSON straight from structs.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use portolan_sources::Workers;
use serde::Serialize;

use super::error::{Answer, Failure};

/// Lists longer than this are written off the async threads.
pub const LONG: usize = 2_000;

/// JSON with a status.
pub fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    Ok(bytes(status, write(body)?))
}

/// 200 with JSON.
pub fn ok(body: &impl Serialize) -> Answer {
    json(StatusCode::OK, body)
}

/// 201 with JSON.
pub fn created(body: &impl Serialize) -> Answer {
    json(StatusCode::CREATED, body)
}

/// 204.
pub fn nothing() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The JSON text of an answer.
///
/// # Errors
/// If a type of ours does not serialise: a defect.
pub fn write(body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(body).map_err(|error| {
        tracing::error!(%error, "an answer does not serialise");
        Failure::Internal
    })
}

/// The JSON text of a long list, whose items take about `each` bytes.
///
/// # Errors
/// If a type of ours does not serialise: a defect.
pub fn write_long(body: &impl Serialize, items: usize, each: usize) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::with_capacity(items * each + 64);
    match serde_json::to_writer(&mut text, body) {
        Ok(()) => Ok(text),
        Err(error) => {
            tracing::error!(%error, "a list does not serialise");
            Err(Failure::Internal)
        }
    }
}

/// A response of JSON text.
pub fn bytes(status: StatusCode, text: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Runs `work`, by `workers` off the async threads if it is about many things.
///
/// # Errors
/// Those of `work`.
pub async fn heavy<T: Send + 'static>(
    workers: &Workers,
    things: usize,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    if things <= LONG {
        return work();
    }
    workers.run(work).await.unwrap_or(Err(Failure::Internal))
}
