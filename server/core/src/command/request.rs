//! A command with everything around it, and what comes of it.

use std::sync::Arc;

use portolan_shared::ids::{NodeId, PortId, UserId};
use portolan_shared::refusal::Refusal;
use portolan_shared::v1::Through;
use uuid::Uuid;

use super::Command;
use crate::access::Scope;
use crate::history::Point;
use crate::model::{Object, Revision, Stored, Tickets};

/// Who asks, for the change table and for rights that depend on objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A user, through an API.
    User(UserId),
    /// A node's agent.
    Node(NodeId),
    /// The control plane itself.
    System,
}

/// Through what, and by which request of a client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Via {
    /// The console, the API, an agent, or the control plane itself.
    pub through: Through,
    /// The request's id, as in the log and in error messages; none but for HTTP.
    pub request: Option<Uuid>,
}

impl Via {
    /// The control plane itself.
    pub const SYSTEM: Self = Self {
        through: Through::System,
        request: None,
    };
    /// A node's agent.
    pub const AGENT: Self = Self {
        through: Through::Agent,
        request: None,
    };
}

/// A command with everything around it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks.
    pub actor: Actor,
    /// How it came in, for the audit.
    pub via: Via,
    /// Where it is asked, and how far that reaches.
    pub scope: Scope,
    /// `If-Match`: the object's `revision_number` must be this.
    pub if_match: Option<u64>,
    /// By what a repetition is known; only creates carry it.
    pub idempotency: Option<Repetition>,
    /// A point of the history in which it is asked: in a history that does not hold it, nothing is decided. `None`: whatever
    /// the history.
    pub within: Option<Point>,
    /// The machine that asks (SHA-256 of its public key), and the ticket that it was given: once a newer one counts, nothing
    /// is decided. `None`: it has none.
    pub ticket: Option<([u8; 32], Tickets)>,
    /// What the writer is asked to do.
    pub command: Command,
}

impl Request {
    /// A command, and nothing else said.
    pub const fn new(actor: Actor, via: Via, scope: Scope, command: Command) -> Self {
        Self {
            actor,
            via,
            scope,
            if_match: None,
            idempotency: None,
            within: None,
            ticket: None,
            command,
        }
    }

    /// The control plane itself asks.
    pub const fn system(command: Command) -> Self {
        Self::new(Actor::System, Via::SYSTEM, Scope::SYSTEM, command)
    }

    /// The same, asked in the history that holds this point.
    pub fn within(self, point: Point) -> Self {
        Self {
            within: Some(point),
            ..self
        }
    }

    /// The same, asked by the machine that was given this ticket.
    pub fn shown(self, machine: [u8; 32], tickets: Tickets) -> Self {
        Self {
            ticket: (tickets.given > 0).then_some((machine, tickets)),
            ..self
        }
    }

    /// A node's agent asks.
    pub const fn agent(node: NodeId, command: Command) -> Self {
        Self::new(Actor::Node(node), Via::AGENT, Scope::SYSTEM, command)
    }

    /// A host asks that is no node yet.
    pub const fn host(command: Command) -> Self {
        Self::new(Actor::System, Via::AGENT, Scope::SYSTEM, command)
    }
}

/// By what a repeated create is known, and a key that is used for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repetition {
    /// Hash of project, user and client-made key.
    pub key: [u8; 32],
    /// SHA-256 of method, path and body.
    pub digest: [u8; 32],
}

/// What came of a command.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The commit's revision; the head if nothing changed.
    pub revision: Revision,
    /// The objects made or changed, those asked for first and in the order asked; of a delete, what was
    /// asked for, as it was.
    pub objects: Vec<Object>,
    /// Pods of a report that get no port, and why; the rest of the report stands.
    pub declined: Vec<(PortId, Refusal)>,
    /// True when an idempotency key was seen before and nothing was done.
    pub replayed: bool,
}

impl Outcome {
    /// The first object of a kind that was made or changed: the one asked for, where that is of this kind.
    pub fn made<K: Stored>(self) -> Option<Arc<K>> {
        self.objects.into_iter().find_map(K::of)
    }
}
