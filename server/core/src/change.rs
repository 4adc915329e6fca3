//! What a commit is made of: one change an object, all of one revision together.
//!
//! The vocabulary of everything behind the writer: the store writes commits, the view applies them, feeds tell them
//! and the audit keeps them.

use portolan_shared::ids::{ClusterId, NetworkId, NodeId, ProjectId};

use crate::command::{Actor, Via};
use crate::model::{Key, Micros, Object, ObjectKind, Purpose, Revision, hidden};

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Made or changed; [`Change::object`] is how it is now.
    Put,
    /// Gone; [`Change::object`] is how it was.
    Delete,
    /// Changed in what only the control plane sees (cursors): no news for anybody.
    Quiet,
}

/// One object's change in a commit.
#[derive(Debug, Clone)]
pub struct Change {
    /// What happened.
    pub op: Op,
    /// To what.
    pub key: Key,
    /// How it is now; for [`Op::Delete`], how it was.
    pub object: Object,
    /// How it was before, if it was there; unknown (`None`) for commits read back after a restart or
    /// made by another replica before this one looked.
    pub before: Option<Object>,
    /// Whose it is; `None` for users and the like.
    pub project: Option<ProjectId>,
    /// The cluster it belongs to or is bound in.
    pub cluster: Option<ClusterId>,
    /// The project in whose network a hidden port is, which is the provider's; `None` for all else.
    pub inside: Option<ProjectId>,
}

impl Change {
    /// Says in whose network it is, if it is a hidden port's.
    pub fn place(&mut self, owner: impl FnOnce(NetworkId) -> Option<ProjectId>) {
        self.inside = match &self.object {
            Object::Port(port) if hidden(port) => owner(port.network),
            _ => None,
        };
    }

    /// Whether agents of its cluster are sent something because of it.
    pub fn concerns_agents(&self) -> bool {
        let kind = matches!(
            self.key.kind(),
            ObjectKind::Cluster | ObjectKind::Node | ObjectKind::Block | ObjectKind::Network
        );
        self.op != Op::Quiet && self.cluster.is_some() && kind
    }
}

/// All changes of one revision.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its number.
    pub revision: Revision,
    /// When it was decided.
    pub at: Micros,
    /// Who asked.
    pub actor: Actor,
    /// Through what.
    pub via: Via,
    /// Whether whoever asked is the provider's: customers do not read their name.
    pub by_provider: bool,
    /// In the order decided.
    pub changes: Box<[Change]>,
}

/// Whose an object is, and the cluster it belongs to or is bound in, for a [`Change`]. `cluster_in`
/// names the cluster of a network.
fn cluster_of(
    object: &Object,
    node_cluster: impl Fn(NodeId) -> Option<ClusterId>,
    network_cluster: impl Fn(NetworkId) -> Option<ClusterId>,
) -> (Option<ProjectId>, Option<ClusterId>) {
    match object {
        Object::Project(o) => (Some(o.id), None),
        Object::User(_) | Object::Session(_) | Object::Idempotency(_) => (None, None),
        Object::Assignment(o) => (Some(o.project), None),
        Object::Network(o) => (Some(o.meta.project), o.owner.or_else(|| network_cluster(o.id))),
        Object::Subnet(o) => {
            let cluster = match o.purpose {
                Purpose::General => None,
                Purpose::Nodes(id) | Purpose::Pods(id) => Some(id),
            };
            (Some(o.meta.project), cluster)
        }
        Object::Cluster(o) => (Some(o.meta.project), Some(o.id)),
        Object::Node(o) => (Some(o.meta.project), Some(o.cluster)),
        Object::Block(o) => (Some(o.meta.project), Some(o.cluster)),
        Object::Port(o) => (Some(o.meta.project), o.node.and_then(node_cluster)),
        Object::NodeStatus(o) => (Some(o.project), Some(o.cluster)),
        Object::JoinToken(o) => (Some(o.meta.project), Some(o.cluster)),
        Object::ShadowRequest(o) => (Some(o.meta.project), None),
        Object::RequestMessage(o) => (Some(o.meta.project), None),
    }
}

impl Change {
    /// A change as decided on a view.
    pub fn of(
        op: Op,
        object: Object,
        before: Option<Object>,
        node_cluster: impl Fn(NodeId) -> Option<ClusterId>,
        network_cluster: impl Fn(NetworkId) -> Option<ClusterId>,
    ) -> Self {
        let (project, cluster) = cluster_of(&object, node_cluster, network_cluster);
        Self {
            op,
            key: object.key(),
            object,
            before,
            project,
            cluster,
            inside: None,
        }
    }
}
