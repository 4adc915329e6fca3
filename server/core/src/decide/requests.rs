//! Shadowport requests: filed by a project, decided by support.
//!
//! New -(take, ask)-> in review -> granted or declined; new or in review -(withdraw)-> withdrawn.
//! Deciding a request that nobody has taken takes it. Whoever decides second is told who was first,
//! and changes nothing. Taking what a colleague has taken takes it over: there is no other way for a
//! request whose taker is away.
//!
//! Every change says whether its customer may see it ([`ShadowRequest::told_revision`]): who of
//! support has taken it and internal notes are no news for customers.

use std::sync::Arc;

use portolan_shared::ids::{ProjectId, ShadowRequestId};
use portolan_shared::refusal::Refusal;
use portolan_shared::time::Time;
use portolan_shared::v1::{MESSAGES_MAX, RequestState, Side};

use super::{not_found, target_project};
use crate::command::{Actor, NewShadowRequest, Request, Step};
use crate::draft::Draft;
use crate::model::{Decided, Key, Micros, Object, Person, RequestMessage, ShadowRequest, grant_among};

/// Whether a project may make networks with a shadow port at `now`.
pub(super) fn grant_holds(draft: &Draft<'_>, project: ProjectId, now: Micros) -> bool {
    grant_among(draft.of::<ShadowRequest>(project).iter().map(Arc::as_ref), now)
}

pub(super) fn file(draft: &mut Draft<'_>, request: &Request, new: &NewShadowRequest) -> Result<Vec<Object>, Refusal> {
    let project = target_project(draft, request, new.project)?.id;
    let asked_by = person(draft, request)?;
    let earlier = draft.of::<ShadowRequest>(project);
    if let Some(open) = earlier.iter().find(|earlier| earlier.state.open()) {
        return Err(Refusal::RequestOpen {
            request: open.id.to_string(),
        });
    }
    if let Some(granted) = earlier.iter().find(|earlier| earlier.holds(draft.now)) {
        return Err(Refusal::RequestGrantedAlready {
            request: granted.id.to_string(),
        });
    }
    if let Some(id) = new.quotes
        && earlier.iter().all(|earlier| earlier.id != id)
    {
        return Err(not_found("Request", id));
    }
    if let Some(id) = new.network {
        draft
            .network(id)
            .filter(|network| network.meta.project == project)
            .ok_or_else(|| not_found("Network", id))?;
    }
    Ok(vec![draft.put(ShadowRequest {
        id: draft.new_id().into(),
        meta: draft.new_meta(project),
        state: RequestState::New,
        purpose: new.purpose.clone(),
        nodes: new.nodes,
        network: new.network,
        asked_by,
        quotes: new.quotes,
        awaits: Some(Side::Support),
        taken_by: None,
        decided: None,
        until: None,
        revoked: None,
        told_revision: draft.revision(),
        told_at: draft.now,
        side: Side::Customer,
    })])
}

pub(super) fn step(
    draft: &mut Draft<'_>,
    request: &Request,
    id: ShadowRequestId,
    side: Side,
    step: &Step,
) -> Result<Vec<Object>, Refusal> {
    let old = draft
        .shadow_request(id)
        .filter(|found| side == Side::Support || request.scope.reads(&**found))
        .ok_or_else(|| not_found("Request", id))?;
    let by = person(draft, request)?;
    let named = side == Side::Support || request.scope.writes_everything();
    let (new, said) = after(&old, side, &by, draft.now, step, named)?;
    let mut made = Vec::with_capacity(2);
    if new != *old || said.is_some() {
        let told = told(&old, &new, said);
        let new = ShadowRequest {
            meta: draft.changed(&old.meta),
            told_revision: if told { draft.revision() } else { old.told_revision },
            told_at: if told { draft.now.max(old.told_at) } else { old.told_at },
            side: if told { side } else { old.side },
            ..new
        };
        made.push(draft.put(new));
    } else {
        made.push(Object::ShadowRequest(Arc::clone(&old)));
    }
    if let Some((text, internal)) = said {
        // Each counts by itself: a full thread must not tell customers how many notes there are.
        let alike = draft
            .of::<RequestMessage>(id)
            .iter()
            .filter(|m| m.internal == internal)
            .count();
        if alike >= MESSAGES_MAX {
            return Err(Refusal::RequestFull { max: MESSAGES_MAX });
        }
        made.push(draft.put(RequestMessage {
            id: draft.new_id().into(),
            meta: draft.new_meta(old.meta.project),
            request: id,
            side,
            author: by,
            internal,
            text: text.to_owned(),
        }));
    }
    Ok(made)
}

/// What of a project's requests and threads goes with it.
pub(super) fn take_away(draft: &mut Draft<'_>, project: ProjectId) {
    for request in draft.of::<ShadowRequest>(project) {
        for message in draft.of::<RequestMessage>(request.id) {
            draft.delete(Key::RequestMessage(message.id));
        }
        draft.delete(Key::ShadowRequest(request.id));
    }
}

/// Whether a customer sees a difference.
fn told(old: &ShadowRequest, new: &ShadowRequest, said: Said<'_>) -> bool {
    let unseen = ShadowRequest {
        taken_by: old.taken_by.clone(),
        ..new.clone()
    };
    unseen != *old || said.is_some_and(|(_, internal)| !internal)
}

/// What is said with a step, and whether internally.
type Said<'s> = Option<(&'s str, bool)>;

/// A request after a step, and what was said with it. `named`: who asks may read supporters' names.
fn after<'s>(
    old: &ShadowRequest,
    side: Side,
    by: &Person,
    now: Micros,
    step: &'s Step,
    named: bool,
) -> Result<(ShadowRequest, Said<'s>), Refusal> {
    let open = || {
        if old.state.open() {
            Ok(())
        } else {
            Err(decided_already(old, named))
        }
    };
    let decided = |message: Option<&String>| {
        Some(Decided {
            by: by.clone(),
            at: now,
            message: message.cloned(),
        })
    };
    let taken = |by_now: bool| match &old.taken_by {
        Some(taker) if !by_now => Some(taker.clone()),
        _ => Some(by.clone()),
    };
    let mut new = old.clone();
    let mut said = None;
    match step {
        Step::Say { text, internal } => {
            if old.state == RequestState::Withdrawn {
                return Err(decided_already(old, named));
            }
            if side == Side::Customer && old.state.open() {
                new.awaits = Some(Side::Support);
            }
            said = Some((text.as_str(), *internal));
        }
        Step::Withdraw => {
            open()?;
            (new.state, new.awaits) = (RequestState::Withdrawn, None);
            new.decided = decided(None);
        }
        Step::Take => {
            open()?;
            new.state = RequestState::InReview;
            if old.taken_by.as_ref().is_none_or(|taker| taker.id != by.id) {
                new.taken_by = taken(true);
            }
        }
        Step::Ask { text } => {
            open()?;
            (new.state, new.awaits) = (RequestState::InReview, Some(Side::Customer));
            new.taken_by = taken(false);
            said = Some((text.as_str(), false));
        }
        Step::Grant { until, message } => {
            open()?;
            if let Some(until) = until.filter(|until| *until <= now) {
                return Err(Refusal::InThePast {
                    field: "until".to_owned(),
                    given: Time(until).to_string(),
                });
            }
            (new.state, new.awaits) = (RequestState::Granted, None);
            new.taken_by = taken(false);
            new.decided = decided(message.as_ref());
            new.until = *until;
        }
        Step::Decline { message } => {
            open()?;
            (new.state, new.awaits) = (RequestState::Declined, None);
            new.taken_by = taken(false);
            new.decided = decided(Some(message));
        }
        Step::Revoke { message } => {
            if !old.holds(now) {
                let state = match old.state {
                    RequestState::Granted if old.revoked.is_some() => "revoked",
                    RequestState::Granted => "expired",
                    other => other.word(),
                };
                return Err(Refusal::RequestNotGranted {
                    state: state.to_owned(),
                });
            }
            new.revoked = decided(Some(message));
        }
    }
    Ok((new, said))
}

/// That somebody was first; customers read "support" for who of support it was.
fn decided_already(request: &ShadowRequest, named: bool) -> Refusal {
    let decided = request.decided.as_ref();
    let own = request.state == RequestState::Withdrawn && request.side == Side::Customer;
    Refusal::RequestDecided {
        state: request.state.word().to_owned(),
        by: decided
            .filter(|_| named || own)
            .map_or_else(|| "support".to_owned(), |decided| decided.by.name.clone()),
        at: Time(decided.map_or(request.told_at, |decided| decided.at)).to_string(),
    }
}

/// Who asks: a request and what is said in it is always somebody's.
fn person(draft: &Draft<'_>, request: &Request) -> Result<Person, Refusal> {
    let Actor::User(id) = request.actor else {
        return Err(Refusal::AuthRequired {});
    };
    let user = draft.user(id).ok_or(Refusal::AuthRequired {})?;
    Ok(Person {
        id,
        name: user.name.clone(),
    })
}
