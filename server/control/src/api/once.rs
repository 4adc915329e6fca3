//! Creates with an `Idempotency-Key`: repeated within 24 hours, they make nothing and are answered as
//! the first time, whatever has become of what they made.
//!
//! The answer is kept, durably, before it is given. One longer than 16 KiB (some twenty ports in bulk) is not kept, nor
//! one with a secret in it: those answers are written again from the objects that were made.

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::response::Response;
use portolan_core::command::{Command, Outcome, Repetition, Request};
use portolan_core::model::{Idempotency, KeptAnswer};
use portolan_shared::ids::ProjectId;
use portolan_shared::refusal::Refusal;

use super::context::{Call, Caller};
use super::error::{Answer, Failure};
use super::reply;
use crate::identity::secret;

/// Longest answer that is kept, in bytes.
const ANSWER_MAX: usize = 16 * 1024;

impl Call {
    /// Creates in the project and answers, once: a repetition with the same key makes nothing and is answered as the first
    /// time. `body` is the request's; `command` reads it, `answer` says what was made.
    ///
    /// # Errors
    /// Those of `command` and `answer`; why the writer refuses; that the key was used for something else.
    pub async fn create(
        &self,
        body: &[u8],
        command: impl FnOnce() -> Result<Command, Failure>,
        answer: impl FnOnce(Outcome) -> Answer,
    ) -> Answer {
        let repetition = self.caller.repetition(Some(self.project.id), body);
        let request = |command| self.request(command);
        self.caller.once(repetition, request, command, answer).await
    }

    /// The same for an answer with a secret, which is never kept: a repetition gets an answer written again from what
    /// was made.
    ///
    /// # Errors
    /// Why the writer refuses; that the key was used for something else.
    pub async fn create_with_secret(&self, body: &[u8], command: Command) -> Result<Outcome, Failure> {
        let repetition = self.caller.repetition(Some(self.project.id), body);
        self.caller.ask(repetition, self.request(command)).await
    }
}

impl Caller {
    /// Creates in no project and answers, once, as [`Call::create`].
    ///
    /// # Errors
    /// Those of `command` and `answer`; why the writer refuses; that the key was used for something else.
    pub async fn create(
        &self,
        body: &[u8],
        command: impl FnOnce() -> Result<Command, Failure>,
        answer: impl FnOnce(Outcome) -> Answer,
    ) -> Answer {
        let repetition = self.repetition(None, body);
        self.once(repetition, |command| self.request(command), command, answer)
            .await
    }

    /// What an idempotent create is known by; `None` without a key. No project counts as one of zeros.
    fn repetition(&self, project: Option<ProjectId>, body: &[u8]) -> Option<Repetition> {
        let key = self.key.as_deref()?;
        let project = project.map_or([0; 16], |project| *project.as_bytes());
        Some(Repetition {
            key: secret::digest(&[&project, self.user.id.as_bytes(), key.as_bytes()]),
            digest: secret::digest(&[self.route.as_bytes(), body]),
        })
    }

    async fn once(
        &self,
        repetition: Option<Repetition>,
        request: impl FnOnce(Command) -> Request,
        command: impl FnOnce() -> Result<Command, Failure>,
        answer: impl FnOnce(Outcome) -> Answer,
    ) -> Answer {
        if let Some(known) = self.answered(repetition)? {
            return Ok(known);
        }
        let outcome = self.ask(repetition, request(command()?)).await?;
        let answer = answer(outcome)?;
        match repetition {
            Some(repetition) => self.keep(repetition, answer).await,
            None => Ok(answer),
        }
    }

    /// Gives a create to the writer, which knows a key by its hash: a refusal names the key itself.
    async fn ask(&self, repetition: Option<Repetition>, request: Request) -> Result<Outcome, Failure> {
        let request = Request {
            idempotency: repetition,
            ..request
        };
        let outcome = self.api.control.write(request).await;
        Ok(outcome.map_err(|refusal| match refusal {
            Refusal::IdempotencyOtherBody { .. } => self.other_body(),
            other => other,
        })?)
    }

    /// The answer that was given to this create before.
    fn answered(&self, repetition: Option<Repetition>) -> Result<Option<Response>, Refusal> {
        let Some(Repetition { key, digest }) = repetition else {
            return Ok(None);
        };
        let known = self.api.control.read(|view| view.idempotency(&key).cloned());
        match known.filter(|record| record.expires_at > self.now) {
            Some(record) if record.digest != digest => Err(self.other_body()),
            Some(record) => Ok(record.answer.as_ref().map(again)),
            None => Ok(None),
        }
    }

    fn other_body(&self) -> Refusal {
        Refusal::IdempotencyOtherBody {
            key: self.key.clone().unwrap_or_default(),
        }
    }

    /// Keeps an answer, durably. If that fails, the answer is given anyway: what it tells of has been made.
    async fn keep(&self, repetition: Repetition, answer: Response) -> Answer {
        let (parts, body) = answer.into_parts();
        let Ok(bytes) = to_bytes(body, usize::MAX).await else {
            return Err(Failure::Internal);
        };
        let kept = match std::str::from_utf8(&bytes) {
            Ok(text) if text.len() <= ANSWER_MAX => {
                let answer = KeptAnswer {
                    status: parts.status.as_u16(),
                    body: text.into(),
                };
                self.write(Command::KeepAnswer(repetition.key, answer)).await.ok()
            }
            _ => None,
        };
        let kept = kept.and_then(|outcome| outcome.made::<Idempotency>()?.answer.as_ref().map(again));
        Ok(kept.unwrap_or_else(|| Response::from_parts(parts, Body::from(bytes))))
    }
}

fn again(answer: &KeptAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    reply::bytes(status, answer.body.as_bytes().to_vec())
}
