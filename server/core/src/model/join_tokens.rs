//! Join tokens, as stored.

use portolan_shared::ids::{ClusterId, JoinTokenId, NodeId, ProjectId};
use portolan_shared::v1::AuditKind;
use serde::{Deserialize, Serialize};

use super::kind::{Born, Clusters, Column, Kind};
use super::{Meta, Micros, Revision};
use crate::audience::Audience;
use crate::change::Op;
use crate::event::Event;
use crate::fields::{Fields, moment};
use crate::quotas::Counted;
use crate::tables::{Table, Unique, indexes};

/// A join token; its secret is stored hashed only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// UUIDv7, drawn by the writer. Never changes.
    pub id: JoinTokenId,
    /// Owner, revision, times.
    pub meta: Meta,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// The cluster it lets in to.
    pub cluster: ClusterId,
    /// The one node it is for, if it is for one.
    pub node: Option<NodeId>,
    /// When it stops working.
    pub expires_at: Micros,
    /// When it was used.
    pub spent_at: Option<Micros>,
}

indexes! {
    /// Join tokens by cluster, and by the hash of their secret.
    JoinTokenIndexes of JoinToken {
        by cluster: ClusterId = |o| Some(o.cluster);
        and hashes: Unique<[u8; 32], JoinTokenId> = |o| Some((o.secret_hash, o.id));
    }
}

impl Kind for JoinToken {
    const WORD: &'static str = "Join token";
    type Id = JoinTokenId;
    type Table = Table<Self, JoinTokenIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[];
    const AUDIT: Option<AuditKind> = Some(AuditKind::JoinToken);
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = None;

    fn id(&self) -> Self::Id {
        self.id
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.meta.project)
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        Some(self.cluster)
    }

    fn audience(&self, _: Op, _: Revision) -> Audience {
        Audience::Everyone
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
        0
    }

    fn label(&self) -> String {
        String::new()
    }

    fn fields(&self, _: Audience) -> Fields {
        let mut fields = Fields::default();
        fields.put("cluster", self.cluster);
        fields.may("node", self.node);
        fields.put("expires_at", moment(self.expires_at));
        fields.may("spent_at", self.spent_at.map(moment));
        fields
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        None
    }
}
