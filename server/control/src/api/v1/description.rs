//! `/portolan/v1/openapi.json` and `/portolan/v1/docs`: what this API does, for programs and for
//! people. Made once, of the same document; the same for everybody.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::document::document;
use super::page;
use super::routes::operations;

/// A text that does not change while the server runs.
struct Fixed {
    kind: HeaderValue,
    text: Bytes,
    tag: HeaderValue,
}

impl Fixed {
    fn new(kind: &'static str, text: String) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let tag: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            kind: HeaderValue::from_static(kind),
            text: text.into(),
            // Quotes and hex digits are a header's.
            tag: HeaderValue::from_str(&format!("\"{tag}\"")).unwrap_or(HeaderValue::from_static("\"\"")),
        }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let same = known.is_some_and(|known| known.split(',').any(|one| one.trim().as_bytes() == self.tag.as_bytes()));
        let mut response = if same {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let mut response = self.text.clone().into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, self.kind.clone());
            response
        };
        let out = response.headers_mut();
        out.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        out.insert(header::ETAG, self.tag.clone());
        response
    }
}

static DOCUMENT: LazyLock<Fixed> =
    LazyLock::new(|| Fixed::new("application/json", document(&operations()).to_string()));
static PAGE: LazyLock<Fixed> =
    LazyLock::new(|| Fixed::new("text/html; charset=utf-8", page::page(&document(&operations()))));
static STYLE: LazyLock<Fixed> = LazyLock::new(|| Fixed::new("text/css; charset=utf-8", page::STYLE.to_owned()));

/// `GET /portolan/v1/openapi.json`.
pub async fn openapi(headers: HeaderMap) -> Response {
    DOCUMENT.answer(&headers)
}

/// `GET /portolan/v1/docs`.
pub async fn docs(headers: HeaderMap) -> Response {
    PAGE.answer(&headers)
}

/// `GET /portolan/v1/docs.css`.
pub async fn style(headers: HeaderMap) -> Response {
    STYLE.answer(&headers)
}
