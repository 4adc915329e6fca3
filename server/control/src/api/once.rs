//! Creates with an `Idempotency-Key`: repeated within 24 hours, they make nothing and are answered as
//! the first time, whatever has become of what they made.
//!
//! The answer is kept, durably, before it is given. One longer than 16 KiB (some twenty ports
//! in bulk) is not kept, nor one with a secret in it: those are made anew of what was made then.

use std::future::Future;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, StatusCode};
use portolan_core::command::Command;
use portolan_core::model::{KeptAnswer, Object};
use portolan_shared::check;
use portolan_shared::ids::ProjectId;
use portolan_shared::refusal::Refusal;

use super::context::{Call, Caller};
use super::error::Answer;
use super::reply;
use crate::identity::login;
use crate::identity::secret;

/// Most characters of an `Idempotency-Key`.
const KEY_MAX: usize = 64;
/// Longest answer that is kept, in bytes.
const ANSWER_MAX: usize = 16 * 1024;

/// The idempotency key of a call.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let field = || "Idempotency-Key".to_owned();
    let key = value.to_str().unwrap_or("");
    if key.len() != value.len() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::NotOneOf {
            field: field(),
            given: check::shortened(&String::from_utf8_lossy(value.as_bytes())),
            allowed: "visible ASCII characters without spaces".to_owned(),
        });
    }
    if key.is_empty() {
        return Err(Refusal::TooShort {
            field: field(),
            min: 1,
            length: 0,
        });
    }
    if key.len() > KEY_MAX {
        return Err(Refusal::TooLong {
            field: field(),
            max: KEY_MAX,
            length: key.len(),
        });
    }
    Ok(Some(key.to_owned()))
}

impl Call {
    /// Answers a create in the project that may be a repetition; `body` is the request's.
    ///
    /// # Errors
    /// Those of `make`; that the key was used for something else.
    pub async fn once(&self, body: &[u8], make: impl Future<Output = Answer>) -> Answer {
        self.caller.answer(self.project.id, body, make).await
    }
}

impl Caller {
    /// Answers a create in no project that may be a repetition; `body` is the request's.
    ///
    /// # Errors
    /// Those of `make`; that the key was used for something else.
    pub async fn once(&self, body: &[u8], make: impl Future<Output = Answer>) -> Answer {
        self.answer(login::NO_PROJECT, body, make).await
    }

    /// What an idempotent create in a project is known by: hash of project, user and key, and digest
    /// of what is asked.
    pub(super) fn idempotency(&self, project: ProjectId, body: &[u8]) -> Option<([u8; 32], [u8; 32])> {
        let key = self.key.as_deref()?;
        let hash = secret::digest(&[project.as_bytes(), self.user.id.as_bytes(), key.as_bytes()]);
        Some((hash, secret::digest(&[self.route.as_bytes(), body])))
    }

    async fn answer(&self, project: ProjectId, body: &[u8], make: impl Future<Output = Answer>) -> Answer {
        let (Some(key), Some((hash, digest))) = (&self.key, self.idempotency(project, body)) else {
            return make.await;
        };
        let known = self.api.control.read(|view| view.idempotency(&hash).cloned());
        if let Some(record) = known.filter(|record| record.expires_at > self.now) {
            if record.digest != digest {
                return Err(Refusal::IdempotencyOtherBody { key: key.clone() }.into());
            }
            if let Some(answer) = &record.answer {
                return Ok(again(answer));
            }
        }
        let (parts, body) = make.await?.into_parts();
        let Ok(bytes) = to_bytes(body, usize::MAX).await else {
            return Err(super::error::Failure::Internal);
        };
        let kept = match std::str::from_utf8(&bytes) {
            Ok(text) if text.len() <= ANSWER_MAX => {
                let answer = KeptAnswer {
                    status: parts.status.as_u16(),
                    body: text.into(),
                };
                self.administer(Command::KeepAnswer(hash, answer)).await.ok()
            }
            _ => None,
        };
        // If it cannot be kept it is true all the same: what it tells of is there.
        let kept = kept.and_then(|outcome| match outcome.objects.into_iter().next() {
            Some(Object::Idempotency(record)) => record.answer.as_ref().map(again),
            _ => None,
        });
        Ok(kept.unwrap_or_else(|| axum::response::Response::from_parts(parts, Body::from(bytes))))
    }
}

fn again(answer: &KeptAnswer) -> axum::response::Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    reply::bytes(status, answer.body.as_bytes().to_vec())
}
