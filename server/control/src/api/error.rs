//! Why a request gets no good answer.
//!
//! Handlers return a [`Failure`]; it travels in the response's extensions to the outermost layer, which knows the API
//! the request was for and writes the body ([`super::bodies`]).

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use portolan_shared::check::shortened;
use portolan_shared::refusal::{Class, Refusal};

/// Why a request gets no good answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Refused; the first is the answer, the others are told beside it. Never empty.
    Refused(Vec<Refusal>),
    /// There is no such URL.
    NoRoute,
    /// The URL is known, but not with this method.
    Method,
    /// A defect of the server: it is logged, and the client learns nothing of it.
    Internal,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(vec![refusal])
    }
}

impl From<Vec<Refusal>> for Failure {
    fn from(refusals: Vec<Refusal>) -> Self {
        if refusals.is_empty() {
            Self::Internal
        } else {
            Self::Refused(refusals)
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // The body is written by the outermost layer; this status is what tests of a bare handler see.
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// What handlers return.
pub type Answer = Result<Response, Failure>;

/// Outside of `/v2.0`.
pub(super) fn class_status(class: Class) -> StatusCode {
    match class {
        Class::Invalid => StatusCode::BAD_REQUEST,
        Class::Unauthorized => StatusCode::UNAUTHORIZED,
        Class::Forbidden => StatusCode::FORBIDDEN,
        Class::NotFound => StatusCode::NOT_FOUND,
        Class::Conflict | Class::OverQuota => StatusCode::CONFLICT,
        Class::Precondition => StatusCode::PRECONDITION_FAILED,
        Class::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Class::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        Class::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Status of a refusal's code outside of `/v2.0`.
pub fn status_of(code: &str) -> Option<u16> {
    let (_, class, _) = Refusal::TABLE.iter().find(|(known, ..)| *known == code)?;
    Some(class_status(*class).as_u16())
}

impl Failure {
    /// An object that is not there, or not the caller's to see.
    pub fn not_found(kind: &str, id: &str) -> Self {
        Self::from(Refusal::NotFound {
            kind: kind.to_owned(),
            id: shortened(id),
        })
    }

    /// The status outside of `/v2.0`, where Neutron may have another.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Refused(refusals) => refusals
                .first()
                .map_or(StatusCode::INTERNAL_SERVER_ERROR, |r| class_status(r.class())),
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
