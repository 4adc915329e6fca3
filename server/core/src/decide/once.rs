//! Creates with an idempotency key: the record that makes a repetition make nothing.
//!
//! The record is part of the create's own commit, so neither is ever there without the other. What
//! was answered is kept with it afterwards, before the client is answered: a process that dies in
//! between has answered nobody, and a repetition is told of what was made as it is then.

use portolan_shared::refusal::Refusal;

use super::{check_quota, not_found};
use crate::command::{Outcome, Repetition, Request};
use crate::draft::Draft;
use crate::model::{Idempotency, KeptAnswer, Key, Object};
use crate::quotas::Counted;

/// Records what a request with a key has made. A project whose keys are used up is refused: were the
/// oldest forgotten instead, a late repetition would make what it asks for twice, which is what keys
/// are there to prevent.
pub(super) fn record(draft: &mut Draft<'_>, request: &Request, made: &[Object]) -> Result<(), Refusal> {
    let Some(Repetition { key: hash, digest }) = request.idempotency else {
        return Ok(());
    };
    // What is asked in no project is asked by support and administrators.
    if let Some(project) = request.scope.project.and_then(|id| draft.project(id)) {
        check_quota(draft, &project, Counted::Keys, 1)?;
    }
    let expires_at = draft.now.saturating_add(Idempotency::LIFETIME);
    draft.put(Idempotency {
        hash,
        digest,
        made: made.iter().map(Object::key).collect(),
        expires_at,
        project: request.scope.project,
        answer: None,
    });
    Ok(())
}

/// Keeps what was answered; of two that were answered at once, the first.
pub(super) fn keep(draft: &mut Draft<'_>, hash: [u8; 32], answer: &KeptAnswer) -> Vec<Object> {
    let Some(record) = draft.idempotency(hash) else {
        return Vec::new();
    };
    if record.answer.is_some() {
        return vec![Object::Idempotency(record)];
    }
    vec![draft.put(Idempotency {
        answer: Some(answer.clone()),
        ..(*record).clone()
    })]
}

/// The outcome of an earlier request with the same key.
pub(super) fn replay(draft: &Draft<'_>, request: &Request) -> Result<Option<Outcome>, Refusal> {
    let Some(Repetition { key: hash, digest }) = request.idempotency else {
        return Ok(None);
    };
    let Some(record) = draft.idempotency(hash).filter(|record| record.expires_at > draft.now) else {
        return Ok(None);
    };
    if record.digest != digest {
        // The writer knows the key's hash only; the API puts the key itself in.
        return Err(Refusal::IdempotencyOtherBody { key: String::new() });
    }
    let found = record.made.iter().map(|key| draft.object(key).ok_or_else(|| gone(key)));
    let objects = found.collect::<Result<_, _>>()?;
    Ok(Some(Outcome {
        revision: draft.head(),
        objects,
        declined: Vec::new(),
        replayed: true,
    }))
}

/// What was made by a request that is repeated, and was deleted since.
fn gone(key: &Key) -> Refusal {
    not_found(key.kind().word(), key.text())
}
