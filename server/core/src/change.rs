//! What a commit is made of: one change an object, all of one revision together.
//!
//! The vocabulary of everything behind the writer: the store writes commits, the view applies them, feeds tell them
//! and the audit keeps them.

use portolan_shared::ids::{ClusterId, NetworkId, ProjectId};

use crate::audience::Audience;
use crate::command::{Actor, Via};
use crate::model::{Clusters, Key, Micros, Object, Revision, hidden};

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
        self.op != Op::Quiet && self.cluster.is_some() && self.key.kind().for_agents()
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
    /// How the command that made it came in.
    pub via: Via,
    /// Whether whoever asked is the provider's: customers do not read their name.
    pub by_provider: bool,
    /// In the order decided.
    pub changes: Box<[Change]>,
}

impl Change {
    /// A change as decided on a view.
    pub fn of(op: Op, object: Object, before: Option<Object>, clusters: &dyn Clusters) -> Self {
        Self {
            op,
            key: object.key(),
            project: object.project(),
            cluster: object.cluster(clusters),
            object,
            before,
            inside: None,
        }
    }

    /// Who may learn of it, of those who may read in its project; `revision` is its commit's.
    pub fn audience(&self, revision: Revision) -> Audience {
        self.object.audience(self.op, revision)
    }

    /// Whether it is kept in the audit.
    pub fn audited(&self) -> bool {
        self.op != Op::Quiet && self.object.audited()
    }
}
