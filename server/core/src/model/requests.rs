//! Shadowport requests and the messages of their threads, as stored.

use portolan_shared::ids::{ClusterId, MessageId, NetworkId, ProjectId, ShadowRequestId, UserId};
use portolan_shared::v1::{self, AuditKind, RequestState, Side};
use serde::{Deserialize, Serialize};

use super::kind::{Born, Clusters, Column, Kind};
use super::{Meta, Micros, Revision};
use crate::audience::Audience;
use crate::change::Op;
use crate::event::Event;
use crate::fields::{Fields, beginning, moment};
use crate::quotas::Counted;
use crate::tables::{Table, indexes};

/// Who did something, by the name they had then: a thread stays readable when a user is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Which user.
    pub id: UserId,
    /// Their name.
    pub name: String,
}

/// That something was decided, or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The user who decided, by the name of then.
    pub by: Person,
    /// When it was decided.
    pub at: Micros,
    /// What the customer is told.
    pub message: Option<String>,
}

/// A project's request for networks with a shadow port.
///
/// Customers never learn who of support does what: [`Self::told_revision`], [`Self::told_at`] and
/// [`Self::side`] say which of its changes are news for them, and whose name they may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowRequest {
    /// UUIDv7, drawn by the writer. Never changes.
    pub id: ShadowRequestId,
    /// Owner, revision, times.
    pub meta: Meta,
    /// How far it is.
    #[serde(with = "super::words::state")]
    pub state: RequestState,
    /// What the shadow port is for, in the customer's words.
    pub purpose: String,
    /// How many nodes the customer expects.
    pub nodes: u32,
    /// The network it is for; may be gone.
    pub network: Option<NetworkId>,
    /// The user who filed it.
    pub asked_by: Person,
    /// An earlier request that it answers.
    pub quotes: Option<ShadowRequestId>,
    /// Whose answer it waits for, while it is open.
    #[serde(with = "super::words::side_or_none")]
    pub awaits: Option<Side>,
    /// Who of support has taken it.
    pub taken_by: Option<Person>,
    /// Granted, declined or withdrawn.
    pub decided: Option<Decided>,
    /// Until when it is granted; `None`: until it is revoked.
    pub until: Option<Micros>,
    /// That the grant was revoked; the state stays.
    pub revoked: Option<Decided>,
    /// The last commit that changed what its customer may see of it.
    pub told_revision: Revision,
    /// When that was.
    pub told_at: Micros,
    /// Whose side made that change.
    #[serde(with = "super::words::side")]
    pub side: Side,
}

impl ShadowRequest {
    /// Whether it gives networks with a shadow port at `now`: granted, not revoked, not past.
    pub fn holds(&self, now: Micros) -> bool {
        self.state == RequestState::Granted && self.revoked.is_none() && self.until.is_none_or(|until| now < until)
    }
}

/// Whether a grant holds, by all requests of a project, oldest first: the newest that was granted
/// counts.
pub fn grant_among<'a>(requests: impl DoubleEndedIterator<Item = &'a ShadowRequest>, now: Micros) -> bool {
    requests
        .rev()
        .find(|request| request.state == RequestState::Granted)
        .is_some_and(|request| request.holds(now))
}

/// A message of a request's thread. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestMessage {
    /// UUIDv7, drawn by the writer. Never changes.
    pub id: MessageId,
    /// Owner (the request's), revision, times.
    pub meta: Meta,
    /// Of which request.
    pub request: ShadowRequestId,
    /// Whose side wrote it.
    #[serde(with = "super::words::side")]
    pub side: Side,
    /// The user who wrote it, by the name of then.
    pub author: Person,
    /// A note that customers never get, in no form.
    pub internal: bool,
    /// The message; line breaks and tabs are kept.
    pub text: String,
}

indexes! {
    /// Requests by project.
    ShadowRequestIndexes of ShadowRequest {
        by project: ProjectId = |o| Some(o.meta.project);
    }
}

impl Kind for ShadowRequest {
    const WORD: &'static str = "Request";
    type Id = ShadowRequestId;
    type Table = Table<Self, ShadowRequestIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[];
    const AUDIT: Option<AuditKind> = Some(AuditKind::Request);
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.meta.project)
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        None
    }

    fn audience(&self, op: Op, revision: Revision) -> Audience {
        // Who of support has taken it is no news for its customer.
        match op != Op::Delete && self.told_revision != revision {
            true => Audience::Provider,
            false => Audience::Everyone,
        }
    }

    fn audited(&self) -> bool {
        true
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        None
    }

    fn unique_name(&self) -> Option<&str> {
        None
    }

    fn bytes(&self) -> usize {
        self.purpose.len()
    }

    fn label(&self) -> String {
        beginning(&self.purpose)
    }

    fn fields(&self, audience: Audience) -> Fields {
        let provider = audience == Audience::Provider;
        let mut fields = Fields::default();
        let own = self.state == RequestState::Withdrawn && self.side == Side::Customer;
        fields.put("purpose", &self.purpose);
        fields.put("nodes", self.nodes);
        fields.may("network", self.network);
        fields.put("state", self.state.word());
        fields.put("asked_by", &self.asked_by.name);
        fields.may("quotes", self.quotes);
        if let Some(side) = self.awaits {
            fields.word("awaits", side);
        }
        fields.may(
            "taken_by",
            self.taken_by.as_ref().filter(|_| provider).map(|taker| &taker.name),
        );
        let names = ["decided_by", "decided_at", "message"];
        decided(&mut fields, names, self.decided.as_ref(), provider || own);
        fields.may("until", self.until.map(moment));
        decided(
            &mut fields,
            ["revoked_by", "revoked_at", "revoked_message"],
            self.revoked.as_ref(),
            provider,
        );
        fields
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        Some(Event {
            network: self.network,
            ..Event::new(v1::Kind::Request, self.id)
        })
    }
}

indexes! {
    /// Messages by request.
    RequestMessageIndexes of RequestMessage {
        by request: ShadowRequestId = |o| Some(o.request);
    }
}

impl Kind for RequestMessage {
    const WORD: &'static str = "Message";
    type Id = MessageId;
    type Table = Table<Self, RequestMessageIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[];
    const AUDIT: Option<AuditKind> = Some(AuditKind::Message);
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.meta.project)
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        None
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        match self.internal {
            true => Audience::Provider,
            false => Audience::Everyone,
        }
    }

    fn audited(&self) -> bool {
        true
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        None
    }

    fn unique_name(&self) -> Option<&str> {
        None
    }

    fn bytes(&self) -> usize {
        self.text.len()
    }

    fn label(&self) -> String {
        beginning(&self.text)
    }

    fn fields(&self, audience: Audience) -> Fields {
        let provider = audience == Audience::Provider;
        let mut fields = Fields::default();
        fields.put("request", self.request);
        fields.word("side", self.side);
        let named = provider || self.side == Side::Customer;
        fields.may("author", named.then_some(&self.author.name));
        fields.may("internal", self.internal.then_some(true));
        fields.put("text", &self.text);
        fields
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        Some(Event::new(v1::Kind::Request, self.request))
    }
}

/// Something that was decided: customers read no names of support's.
fn decided(fields: &mut Fields, [by, at, message]: [&'static str; 3], decided: Option<&Decided>, named: bool) {
    if let Some(decided) = decided {
        fields.may(by, named.then_some(&decided.by.name));
        fields.put(at, moment(decided.at));
        fields.may(message, decided.message.as_ref());
    }
}
