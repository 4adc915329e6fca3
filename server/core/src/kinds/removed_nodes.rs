//! Machines that are no node any more: theirs was removed, or another machine has joined as it. Only such a record makes
//! the control plane tell an agent so: one that it merely does not know may be known to the store that is put back next.

use portolan_shared::ids::{ClusterId, NodeId, ProjectId};
use portolan_shared::v1::AuditKind;
use serde::{Deserialize, Serialize};

use crate::audience::Audience;
use crate::change::Op;
use crate::event::Event;
use crate::fields::Fields;
use crate::model::{Born, Clusters, Column, Key, Kind, Micros, Revision};
use crate::quotas::Counted;
use crate::tables::{Sorted, Table, indexes};
use crate::view::View;

/// How long a record stays: as long as a certificate may be renewed after its end (7 and 90 days), in microseconds.
pub const KEPT: Micros = 97 * 86_400_000_000;

/// A machine whose node was removed, or is another machine now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedNode {
    /// SHA-256 of the public key that its certificates are for.
    pub machine: [u8; 32],
    /// The node it was.
    pub node: NodeId,
    /// Its cluster, which may be gone.
    pub cluster: ClusterId,
    /// Whose it was.
    pub project: ProjectId,
    /// Its name.
    pub name: String,
    /// When it was removed.
    pub removed_at: Micros,
}

indexes! {
    /// Removed nodes by when they were removed.
    RemovedNodeIndexes of RemovedNode {
        and ages: Sorted<(Micros, [u8; 32])> = |o| Some((o.removed_at, o.machine));
    }
}

impl Kind for RemovedNode {
    const WORD: &'static str = "Removed node";
    type Id = [u8; 32];
    type Table = Table<Self, RemovedNodeIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[];
    const AUDIT: Option<AuditKind> = None;
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = Some(Born {
        version: 9,
        columns: &[],
        unique: &[],
        body: r#"{
            "node": "04040404-0404-0404-0404-040404040404", "cluster": "05050505-0505-0505-0505-050505050505",
            "project": "01010101010101010101010101010101", "name": "node-1",
            "machine": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1], "removed_at": 5
        }"#,
    });

    fn id(&self) -> [u8; 32] {
        self.machine
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

    /// The node's own delete is.
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
        0
    }

    fn label(&self) -> String {
        self.name.clone()
    }

    fn fields(&self, _: Audience) -> Fields {
        Fields::default()
    }

    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        None
    }
}

impl View {
    /// Records of removals at this moment or later.
    pub(crate) fn removed_since(&self, since: Micros) -> impl Iterator<Item = &RemovedNode> + '_ {
        let table = self.table::<RemovedNode, _>();
        let young = table.indexes.ages.0.range((since, [0; 32])..);
        young.filter_map(|(_, machine)| self.get::<RemovedNode>(*machine).map(|record| &**record))
    }

    /// Records that are older than [`KEPT`] at `now`, at most `limit`.
    pub(crate) fn outlived_removals(&self, now: Micros, limit: usize) -> impl Iterator<Item = Key> + '_ {
        let ages = &self.table::<RemovedNode, _>().indexes.ages.0;
        let old = ages.range(..(now.saturating_sub(KEPT), [0; 32]));
        old.take(limit).map(|(_, machine)| Key::RemovedNode(*machine))
    }
}
