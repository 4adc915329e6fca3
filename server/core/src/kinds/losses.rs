//! What others took away from nodes' kernels, for the audit: a row a node and cause, which counts. How a node stands by now is
//! its status's (`NodeStatus::losses`).

use portolan_shared::ids::{ClusterId, NodeId, ProjectId};
use portolan_shared::v1::AuditKind;
use serde::{Deserialize, Serialize};

use crate::audience::Audience;
use crate::change::Op;
use crate::draft::Draft;
use crate::event::Event;
use crate::fields::{Fields, moment};
use crate::model::kind::Id;
use crate::model::{Born, Clusters, Column, Key, Kind, Loss, Micros, Node, Revision};
use crate::quotas::Counted;
use crate::tables::{Table, indexes};
use crate::view::View;
use portolan_shared::losses::LossKind;

/// How long after a loss of a node and cause the next one is written, in microseconds: a host where something flaps makes a
/// commit a minute, and not one each time.
pub const REST: Micros = 60_000_000;

/// Microseconds of a day.
const DAY: Micros = 86_400_000_000;

/// Which losses: of a node, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LossesId {
    /// Its cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// What was lost.
    pub kind: LossKind,
}

impl LossesId {
    /// Those of a node.
    pub fn of(node: &Node, kind: LossKind) -> Self {
        Self {
            cluster: node.cluster,
            node: node.id,
            kind,
        }
    }
}

impl Id for LossesId {
    fn key_bytes(&self) -> Vec<u8> {
        let mut bytes = self.cluster.as_bytes().to_vec();
        bytes.extend(self.node.as_bytes());
        bytes.extend(self.kind.word().bytes());
        bytes
    }

    fn key_text(&self) -> String {
        format!("{}/{}/{}", self.cluster, self.node, self.kind.word())
    }
}

/// The losses of a node by one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Of what.
    pub id: LossesId,
    /// Whose node it is.
    pub project: ProjectId,
    /// The node's name.
    pub node_name: String,
    /// The newest that was written.
    pub newest: Loss,
    /// How many there have been, as far as agents told of them.
    pub times: u64,
    /// When the newest was first written.
    pub written_at: Micros,
}

indexes! {
    /// Losses by node.
    LossesIndexes of Losses {
        by node: NodeId = |o| Some(o.id.node);
    }
}

impl Kind for Losses {
    const WORD: &'static str = "Losses";
    type Id = LossesId;
    type Table = Table<Self, LossesIndexes>;

    const COLUMNS: &'static [Column<Self>] = &[];
    const AUDIT: Option<AuditKind> = Some(AuditKind::Loss);
    const FOR_AGENTS: bool = false;
    const BORN: Option<Born> = Some(Born {
        version: 11,
        columns: &[],
        unique: &[],
        body: r#"{
            "id": {
                "cluster": "05050505-0505-0505-0505-050505050505", "node": "04040404-0404-0404-0404-040404040404",
                "kind": "routes"
            },
            "project": "01010101010101010101010101010101", "node_name": "node-1",
            "newest": {
                "kind": "routes", "objects": 14, "first_seen": 5, "back_after_ms": 12, "today": 3, "contested": false,
                "by": "systemd-networkd"
            },
            "times": 3, "written_at": 6
        }"#,
    });

    fn id(&self) -> LossesId {
        self.id
    }

    fn project(&self) -> Option<ProjectId> {
        Some(self.project)
    }

    fn cluster(&self, _: &dyn Clusters) -> Option<ClusterId> {
        Some(self.id.cluster)
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
        self.newest.by.as_ref().map_or(0, String::len)
    }

    fn label(&self) -> String {
        self.node_name.clone()
    }

    fn fields(&self, _: Audience) -> Fields {
        let loss = &self.newest;
        let mut fields = Fields::default();
        fields.put("lost", loss.kind.word());
        fields.put("objects", loss.objects);
        fields.put("first_seen", moment(loss.first_seen));
        fields.may("by", loss.by.as_ref());
        fields.may("back_after_ms", loss.back_after_ms);
        fields.put("contested", loss.contested);
        fields.put("times", self.times);
        fields
    }

    /// That of the node's status, which is written with it.
    fn event(&self, _: Op, _: Option<&Self>) -> Option<Event> {
        None
    }
}

impl Losses {
    /// Those of a node for which nothing is written yet.
    fn none(node: &Node, first: &Loss) -> Self {
        Self {
            id: LossesId::of(node, first.kind),
            project: node.meta.project,
            node_name: node.name.clone(),
            newest: first.clone(),
            times: 0,
            written_at: 0,
        }
    }

    /// How many losses an agent tells of by `loss` that it had not told of before.
    fn news(&self, loss: &Loss) -> u32 {
        let day = |loss: &Loss| loss.first_seen.div_euclid(DAY);
        let known = &self.newest;
        match (self.times, known.first_seen == loss.first_seen) {
            (1.., true) => 0,
            // It counts the losses of a day. One that was started anew begins with one.
            (1.., false) if day(known) == day(loss) && loss.today > known.today => loss.today - known.today,
            _ => loss.today.max(1),
        }
    }
}

/// Counts losses that a node's agent tells of, where they are others than `told`.
pub(crate) fn record(draft: &mut Draft<'_>, node: &Node, told: &[Loss], losses: &[Loss]) {
    for loss in losses.iter().filter(|loss| !told.contains(loss)) {
        let known = draft.get::<Losses>(LossesId::of(node, loss.kind));
        let known = known.map_or_else(|| Losses::none(node, loss), |known| (*known).clone());
        let news = known.news(loss);
        draft.put(Losses {
            newest: loss.clone(),
            times: known.times + u64::from(news),
            written_at: if news == 0 { known.written_at } else { draft.now },
            ..known
        });
    }
}

/// The losses of a node go with it.
pub(crate) fn node_goes(draft: &mut Draft<'_>, node: NodeId) {
    for losses in draft.of::<Losses>(node) {
        draft.delete(Key::Losses(losses.id));
    }
}

/// What may be written now of what an agent tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// All losses of the node, as they are to be written; `None`: nothing of them is new.
    pub now: Option<Vec<Loss>>,
    /// When more of them may be written.
    pub more_at: Option<Micros>,
}

/// What may be written at `now` of the losses that a node's agent tells. One a minute and cause is, and the end of one that
/// was written as open: that it is not back yet must not be said any longer.
pub fn due(view: &View, node: &Node, losses: &[Loss], now: Micros) -> Due {
    let told: &[Loss] = view.node_status(node.id).map_or(&[], |status| &status.losses);
    let (mut written, mut more_at) = (Vec::with_capacity(losses.len()), None);
    for loss in losses {
        let before = told.iter().find(|told| told.kind == loss.kind);
        let rests_until = view
            .get::<Losses>(LossesId::of(node, loss.kind))
            .map(|row| row.written_at)
            // A clock that was set back must not keep it waiting.
            .filter(|at| (*at..at.saturating_add(REST)).contains(&now))
            .map(|at| at.saturating_add(REST));
        let ends = before.is_some_and(|before| {
            before.first_seen == loss.first_seen && before.back_after_ms.is_none() && loss.back_after_ms.is_some()
        });
        match rests_until {
            Some(until) if before != Some(loss) && !ends => {
                written.extend(before.cloned());
                more_at = Some(more_at.map_or(until, |at: Micros| at.min(until)));
            }
            _ => written.push(loss.clone()),
        }
    }
    Due {
        now: (written != told).then_some(written),
        more_at,
    }
}

#[cfg(test)]
mod tests;
