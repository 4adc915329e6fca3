//! Read models of shadowport requests: the same for customers and support, without what the reader may not know.

use std::sync::Arc;

use portolan_core::audience::Audience;
use portolan_core::command::Step;
use portolan_core::fields::moment;
use portolan_core::model::{Decided, Micros, Network, Object, Person, Project, RequestMessage, ShadowRequest};
use portolan_core::view::View;
use portolan_shared::check;
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::{
    Decision, Grant, Message, One, PostMessage, Ref, RequestState, ShadowRequest as Wire, Side, TEXT_MAX, TEXT_MIN,
};

use crate::api::error::Failure;

/// Most characters of a message that a list shows.
const BEGINNING: usize = 120;

/// What a picture of a request is made of.
pub struct RequestFacts {
    /// The request.
    pub request: Arc<ShadowRequest>,
    project: Option<Arc<Project>>,
    network: Option<Arc<Network>>,
    /// Those the reader may see, oldest first; only the newest, for lists.
    messages: Vec<Arc<RequestMessage>>,
    audience: Audience,
    whole: bool,
}

impl RequestFacts {
    /// From the view, with its thread.
    pub fn whole(view: &View, request: &Arc<ShadowRequest>, audience: Audience) -> Self {
        let mut facts = Self::bare(view, request, audience);
        facts.messages = seen(view, request, audience).cloned().collect();
        // Messages never change: the order of their revisions is the order they were committed in.
        facts.messages.sort_by_key(|message| message.meta.revision);
        facts.whole = true;
        facts
    }

    /// From the view, for a list.
    pub fn listed(view: &View, request: &Arc<ShadowRequest>, audience: Audience) -> Self {
        let mut facts = Self::bare(view, request, audience);
        let newest = seen(view, request, audience).max_by_key(|message| message.meta.revision);
        facts.messages = newest.cloned().into_iter().collect();
        facts
    }

    fn bare(view: &View, request: &Arc<ShadowRequest>, audience: Audience) -> Self {
        let network = request.network.and_then(|id| view.network(id));
        Self {
            request: Arc::clone(request),
            project: view.project(request.meta.project).cloned(),
            network: network
                .filter(|network| network.meta.project == request.meta.project)
                .cloned(),
            messages: Vec::new(),
            audience,
            whole: false,
        }
    }

    /// The name of the request's project.
    pub fn project_name(&self) -> &str {
        self.project.as_ref().map_or("", |project| &project.name)
    }

    /// The picture at `now`.
    pub fn wire(&self, now: Micros) -> Wire {
        let request = &*self.request;
        let by_support = |decided: &Decided| self.decision(decided, Side::Support);
        let updated_at = match self.audience {
            Audience::Everyone => request.told_at,
            Audience::Provider => request.meta.updated_at,
        };
        let newest = self.messages.last();
        Wire {
            id: request.id,
            project: Ref {
                id: request.meta.project,
                name: self.project_name().to_owned(),
            },
            state: request.state,
            purpose: request.purpose.clone(),
            nodes: request.nodes,
            network: self.network.as_ref().map(|network| Ref {
                id: network.id,
                name: network.name.clone(),
            }),
            asked_by: request.asked_by.name.clone(),
            created_at: moment(request.meta.created_at),
            updated_at: moment(updated_at),
            quotes: request.quotes,
            awaits: request.awaits,
            taken_by: request
                .taken_by
                .as_ref()
                .and_then(|taker| self.name(taker, Side::Support)),
            decided: request.decided.as_ref().map(|decided| match request.state {
                RequestState::Withdrawn => self.decision(decided, request.side),
                _ => by_support(decided),
            }),
            grant: (request.state == RequestState::Granted).then(|| Grant {
                until: request.until.map(moment),
                revoked: request.revoked.as_ref().map(by_support),
                active: request.holds(now),
            }),
            thread: if self.whole {
                self.messages.iter().map(|message| self.message(message)).collect()
            } else {
                Vec::new()
            },
            last_message: newest.map(|message| message.text.chars().take(BEGINNING).collect()),
        }
    }

    fn message(&self, message: &RequestMessage) -> Message {
        Message {
            id: message.id,
            at: moment(message.meta.created_at),
            side: message.side,
            author: self.name(&message.author, message.side),
            internal: message.internal,
            text: message.text.clone(),
        }
    }

    fn decision(&self, decided: &Decided, side: Side) -> Decision {
        Decision {
            by: self.name(&decided.by, side),
            at: moment(decided.at),
            message: decided.message.clone(),
        }
    }

    /// The name of somebody who acted on this side; supporters have none for customers.
    fn name(&self, person: &Person, side: Side) -> Option<String> {
        let known = self.audience == Audience::Provider || side == Side::Customer;
        known.then(|| person.name.clone())
    }
}

/// Messages that a reader may see, in id order.
fn seen<'v>(
    view: &'v View,
    request: &ShadowRequest,
    audience: Audience,
) -> impl Iterator<Item = &'v Arc<RequestMessage>> {
    view.messages_of(request.id)
        .filter(move |message| audience == Audience::Provider || !message.internal)
}

/// The request that a command made or changed, as its reader sees it now.
///
/// # Errors
/// If it is gone again.
pub fn answer(view: &View, objects: &[Object], audience: Audience, now: Micros) -> Result<One<Wire>, Failure> {
    let id = objects.iter().find_map(|object| match object {
        Object::ShadowRequest(request) => Some(request.id),
        _ => None,
    });
    let id = id.ok_or(Failure::Internal)?;
    let request = view
        .request(id)
        .ok_or_else(|| Failure::not_found("request", &id.to_string()))?;
    Ok(One {
        revision: view.head(),
        item: RequestFacts::whole(view, request, audience).wire(now),
    })
}

/// What is said in a thread.
///
/// # Errors
/// If it is empty, too long, or holds control characters.
pub fn message(asked: &PostMessage) -> Result<Step, Refusal> {
    Ok(Step::Say {
        text: check::paragraphs("text", &asked.text, 1, TEXT_MAX)?,
        internal: asked.internal,
    })
}

/// What a customer is told with a decision that needs a message.
///
/// # Errors
/// If it is too short, too long, or holds control characters.
pub fn verdict(message: &str) -> Result<String, Refusal> {
    check::paragraphs("message", message, TEXT_MIN, TEXT_MAX)
}
