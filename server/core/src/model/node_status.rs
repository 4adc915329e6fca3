//! How nodes are doing, by what their agents say: losses, exceptions, paths, tickets.

use portolan_shared::ids::{ClusterId, NodeId, ProjectId};
use portolan_shared::losses::LossKind;
use portolan_shared::status::NotHeld;
use portolan_shared::v1::{self, AuditKind};
use serde::{Deserialize, Serialize};

use super::kind::{Born, Clusters, Column, Kind};
use super::{Micros, Node, Paths, Revision};
use crate::audience::Audience;
use crate::change::Op;
use crate::event::Event;
use crate::fields::Fields;
use crate::quotas::Counted;
use crate::tables::Table;

/// What a node's kernel refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// `port`, `block` or `node`.
    pub kind: String,
    /// Id of that.
    pub id: [u8; 16],
    /// The kernel's words.
    pub reason: String,
    /// How often it was tried; 0: not at all, healing is paused.
    pub attempts: u32,
}

impl Exception {
    /// As a status says it.
    pub fn not_held(&self) -> NotHeld {
        match self.attempts {
            0 => NotHeld::Left(self.reason.clone()),
            attempts => NotHeld::Refused(self.reason.clone(), attempts),
        }
    }
}

/// Since when a node is waited for after a start of the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// When the control plane was started.
    pub since: Micros,
    /// When the node was last heard, as far as the one before wrote it.
    pub heard: Micros,
}

/// What others took away from a node's kernel: the newest of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// What was lost.
    pub kind: LossKind,
    /// How many objects.
    pub objects: u32,
    /// When the first was found lost, by the node's clock.
    pub first_seen: Micros,
    /// After how many milliseconds all were back; `None` while one is not.
    pub back_after_ms: Option<u64>,
    /// How many losses of this kind there were on that (UTC) day, with this one.
    pub today: u32,
    /// Another program takes it away again and again.
    pub contested: bool,
    /// Who did it, as far as that is known.
    pub by: Option<String>,
}

/// Who has paused healing on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// A name for people.
    pub by: String,
    /// When, by the node's clock.
    pub since: Micros,
}

/// Which tickets a node's machine was given and has shown. Later ones are greater.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tickets {
    /// The newest that was given; 0: none.
    pub given: u64,
    /// An administrator has admitted the machine that shows itself next, whichever ticket it has.
    pub open: bool,
    /// What was shown when it was given.
    pub shown: u64,
}

/// How a node is doing: written together for many nodes, never bumps anything of the node's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Which node.
    pub node: NodeId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its project.
    pub project: ProjectId,
    /// The commit that last changed it.
    pub revision: Revision,
    /// Whether its agent is connected.
    pub online: bool,
    /// Since when `online` has its value.
    pub since: Micros,
    /// The newest revision in its kernel.
    pub applied_revision: Revision,
    /// What its kernel refused.
    pub exceptions: Vec<Exception>,
    /// Version of its agent.
    pub agent_version: String,
    /// Newest pod sequence number stored for it.
    pub pod_seq: u64,
    /// Which of several replicas of the control plane holds its agent's stream, or held it last.
    pub held_by: Option<[u8; 16]>,
    /// When that replica last said that it lives: it says so of one of its nodes.
    pub beat: Micros,
    /// Since when its agent asks for a block and gets none, because none is free.
    pub wants_block: Option<Micros>,
    /// That the control plane was started while the node was online, and has not heard of it since. It stays online for
    /// a grace.
    pub awaited: Option<Awaited>,
    /// The tickets of its machine.
    pub tickets: Tickets,
    /// Since when two machines are known to have its identity, or one that was put back to an older state; `None`: no.
    pub copied: Option<Micros>,
    /// What others took away from its kernel: at most one of a kind.
    pub losses: Vec<Loss>,
    /// Who has paused healing there: its agent changes nothing.
    pub paused: Option<Paused>,
    /// What its probes say; `None` while its agent has said nothing of them since it came.
    pub paths: Option<Paths>,
}

impl NodeStatus {
    /// Of a node that has not reported yet: written in this commit, at this time.
    pub(crate) fn of(node: &Node, revision: Revision, now: Micros) -> Self {
        Self {
            node: node.id,
            cluster: node.cluster,
            project: node.meta.project,
            revision,
            online: false,
            since: now,
            applied_revision: 0,
            exceptions: Vec::new(),
            agent_version: String::new(),
            pod_seq: 0,
            held_by: None,
            beat: 0,
            wants_block: None,
            awaited: None,
            tickets: Tickets::default(),
            copied: None,
            losses: Vec::new(),
            paused: None,
            paths: None,
        }
    }
}

impl Kind for NodeStatus {
    const WORD: &'static str = "Node status";
    type Id = NodeId;
    type Table = Table<Self, ()>;

    const COLUMNS: &'static [Column<Self>] = &[];
    const AUDIT: Option<AuditKind> = None;
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        self.node
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.project)
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        Some(self.cluster)
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        Audience::Everyone
    }

    fn audited(&self) -> bool {
        false
    }

    fn counted(&self) -> Option<(ProjectId, Counted)> {
        None
    }

    fn unique_name(&self) -> Option<&str> {
        None
    }

    fn bytes(&self) -> usize {
        self.exceptions
            .iter()
            .map(|exception| exception.kind.len() + exception.reason.len() + 64)
            .sum()
    }

    fn label(&self) -> String {
        String::new()
    }

    fn fields(&self, _: Audience) -> Fields {
        Fields::default()
    }

    fn event(&self, op: Op, _: Option<&Self>) -> Option<Event> {
        // How a node is doing is gone with it, or about to be told anew: never by itself.
        (op == Op::Put).then(|| Event::new(v1::Kind::Node, self.node))
    }
}
