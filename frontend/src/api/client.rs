//! Sends requests. Nothing here decides anything but when to try again.

use gloo_net::http::{Method, RequestBuilder, Response};
use serde::Serialize;
use web_sys::AbortSignal;

use super::failure::Failure;
use crate::browser;
use crate::session::Session;

/// How often a write is tried in all, and how long before each further try (milliseconds).
const WRITE_PAUSES: [i32; 3] = [500, 1_500, 4_000];

/// Asks for a text.
pub async fn get(url: &str, abort: Option<&AbortSignal>) -> Result<String, Failure> {
    let request = RequestBuilder::new(url).method(Method::GET).abort_signal(abort).build();
    let request = request.map_err(|_| Failure::unreachable())?;
    answer(request.send().await.map_err(|_| Failure::unreachable())?).await
}

/// A write that was accepted; its answer.
pub type Written = Result<String, Failure>;

/// Sends a write as the logged-in user, in `project`.
///
/// The same key goes with every try, so that a create whose answer was lost is not made twice.
pub async fn send(
    session: Session,
    project: &str,
    method: Method,
    url: &str,
    body: Option<&impl Serialize>,
) -> Written {
    let body = encoded(body).map_err(|error| Failure::unreadable(&error.to_string()))?;
    send_text(session, project, method, url, body, &browser::fresh_key()).await
}

/// A body as text.
pub(super) fn encoded(body: Option<&impl Serialize>) -> serde_json::Result<Option<String>> {
    body.map(serde_json::to_string).transpose()
}

/// As [`send`], with a body that is text already and a key of the caller's.
pub(super) async fn send_text(
    session: Session,
    project: &str,
    method: Method,
    url: &str,
    body: Option<String>,
    key: &str,
) -> Written {
    let mut pauses = WRITE_PAUSES.iter();
    loop {
        let failure = match send_once(session, project, &method, url, body.as_deref(), key).await {
            Ok(text) => return Ok(text),
            Err(failure) => failure,
        };
        if failure.status == 401 {
            session.expired();
        }
        match pauses.next() {
            Some(pause) if failure.passes() && failure.status != 500 => wait(*pause).await,
            _ => return Err(failure),
        }
    }
}

async fn send_once(
    session: Session,
    project: &str,
    method: &Method,
    url: &str,
    body: Option<&str>,
    key: &str,
) -> Written {
    let mut request = RequestBuilder::new(url)
        .method(method.clone())
        .header("X-CSRF-Token", &session.csrf())
        .header("X-Portolan-Project", project);
    if *method == Method::POST {
        request = request.header("Idempotency-Key", key);
    }
    let request = match body {
        Some(body) => request.header("Content-Type", "application/json").body(body),
        None => request.build(),
    };
    let request = request.map_err(|_| Failure::unreachable())?;
    answer(request.send().await.map_err(|_| Failure::unreachable())?).await
}

/// The text of a good answer, else what went wrong.
async fn answer(response: Response) -> Result<String, Failure> {
    let text = response.text().await.map_err(|_| Failure::unreachable())?;
    if response.ok() {
        return Ok(text);
    }
    let request_id = response.headers().get("X-Openstack-Request-Id").unwrap_or_default();
    Err(Failure::from_answer(response.status(), &text, &request_id))
}

/// Waits so many milliseconds.
pub async fn wait(millis: i32) {
    let promise = js_sys::Promise::new(&mut |resolve, _| {
        browser::after(millis, move || {
            // Resolving a promise cannot fail.
            let _ = resolve.call0(&wasm_bindgen::JsValue::UNDEFINED);
        });
    });
    let _ = wasm_bindgen_futures::JsFuture::from(promise).await;
}
