//! Who may learn of a change: one answer for the events and for the audit.

use portolan_shared::v1::{PortKind, Side};

use crate::change::{Change, Op};
use crate::command::{Actor, Command, Request};
use crate::model::{Object, ObjectKind, Revision, Role};
use crate::model::{hidden, port_kind};
use crate::view::View;

/// Who may learn of a change in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// Whoever may read in the project.
    Everyone,
    /// Support and administrators alone.
    Provider,
}

/// Whether who asked for these changes is the provider's and not the project's: support in what support
/// does, and else whoever has no role in the project whose objects changed.
pub fn by_provider(view: &View, request: &Request, changes: &[Change]) -> bool {
    let Actor::User(user) = request.actor else {
        return false;
    };
    if let Command::OnRequest { side, .. } = request.command {
        return side == Side::Support;
    }
    let own = |change: &Change| match &change.object {
        Object::Port(port) if hidden(port) => None,
        _ => change.project,
    };
    let project = changes.iter().find_map(own);
    project.is_some_and(|project| view.roles(user, project).is_empty())
}

impl Change {
    /// Who may learn of it, of those who may read in its project; `revision` is its commit's.
    pub fn audience(&self, revision: Revision) -> Audience {
        let secret = match &self.object {
            Object::Port(port) => hidden(port),
            // Who of support has taken a request, and notes in its thread.
            Object::ShadowRequest(request) => self.op != Op::Delete && request.told_revision != revision,
            Object::RequestMessage(message) => message.internal,
            // Who the provider's people are.
            Object::Assignment(assignment) => matches!(assignment.role, Role::Admin | Role::Support),
            _ => false,
        };
        if secret { Audience::Provider } else { Audience::Everyone }
    }

    /// Whether it is kept in the audit: what people and agents changed, without what agents report by
    /// the second (pods, how nodes are doing, blocks) and without what is of the API alone.
    pub fn audited(&self) -> bool {
        let kind = match self.key.kind() {
            ObjectKind::Session | ObjectKind::Idempotency | ObjectKind::NodeStatus | ObjectKind::Block => false,
            ObjectKind::Port => !matches!(&self.object, Object::Port(port) if port_kind(port) == PortKind::Pod),
            ObjectKind::Project
            | ObjectKind::User
            | ObjectKind::Assignment
            | ObjectKind::Network
            | ObjectKind::Subnet
            | ObjectKind::Cluster
            | ObjectKind::Node
            | ObjectKind::JoinToken
            | ObjectKind::ShadowRequest
            | ObjectKind::RequestMessage => true,
        };
        kind && self.op != Op::Quiet
    }
}
