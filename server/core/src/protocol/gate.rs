//! The gate before leases: after a start nobody is leased a block of a cluster before all its nodes have shown which
//! history they have, since one of them may hold that very block by a lease that the store has lost. Pods go on from the
//! blocks that their nodes hold.

use std::collections::{BTreeMap, BTreeSet};

use portolan_shared::ids::{ClusterId, NodeId};

use crate::model::Micros;
use crate::view::View;

/// How long the gate waits for nodes that do not come, in microseconds: 30 s.
pub const LONGEST: Micros = 30_000_000;

/// The nodes that the view had when it was loaded, or shortly before, and that have not shown their history since. One that has joined since
/// has its first lease from here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Gate {
    /// How many histories the process had seen when it was closed.
    histories: u64,
    closed_at: Micros,
    awaited: BTreeMap<ClusterId, BTreeSet<NodeId>>,
}

impl Gate {
    /// Closed, for a view that was just loaded.
    pub fn new(histories: u64, view: &View, now: Micros) -> Self {
        let mut awaited: BTreeMap<ClusterId, BTreeSet<NodeId>> = BTreeMap::new();
        for node in view.nodes().filter(|node| node.key_hash.is_some()) {
            awaited.entry(node.cluster).or_default().insert(node.id);
        }
        // One that was removed since the store was put back is no node of the view's any more, and has shown nothing.
        for removed in view.removed_since(now.saturating_sub(LONGEST)) {
            awaited.entry(removed.cluster).or_default().insert(removed.node);
        }
        Self {
            histories,
            closed_at: now,
            awaited,
        }
    }

    /// Closes again if the view is of another history since.
    pub fn heed(&mut self, histories: u64, view: &View, now: Micros) {
        if self.histories != histories {
            *self = Self::new(histories, view, now);
        }
    }

    /// A node of a cluster has shown its history.
    pub fn shown(&mut self, cluster: ClusterId, node: NodeId) {
        if let Some(awaited) = self.awaited.get_mut(&cluster) {
            awaited.remove(&node);
            if awaited.is_empty() {
                self.awaited.remove(&cluster);
            }
        }
    }

    /// Nodes of a cluster that a lease to this one waits for. One that is removed meanwhile is awaited all the same: what the
    /// store had lost of its leases nobody else may know.
    pub fn waits_for(&self, cluster: ClusterId, own: Option<NodeId>, now: Micros) -> Vec<NodeId> {
        // A clock that was set back must not keep it closed.
        if !(self.closed_at..self.closed_at + LONGEST).contains(&now) {
            return Vec::new();
        }
        let awaited = self.awaited.get(&cluster).into_iter().flatten().copied();
        awaited.filter(|node| Some(*node) != own).collect()
    }
}

#[cfg(test)]
mod tests {
    use portolan_shared::ids::ProjectId;

    use super::*;
    use crate::kinds::removed_nodes::RemovedNode;
    use crate::model::Object;

    #[test]
    fn it_waits_for_what_was_removed_just_before() {
        let cluster = ClusterId::from_bytes([9; 16]);
        let removed = |n: u8, removed_at| RemovedNode {
            machine: [n; 32],
            node: NodeId::from_bytes([n; 16]),
            cluster,
            project: ProjectId::from_bytes([1; 16]),
            name: String::new(),
            removed_at,
        };
        let mut view = View::default();
        view.put(Object::from(removed(1, 100)));
        view.put(Object::from(removed(2, 101)));
        let gate = Gate::new(0, &view, 101 + LONGEST);
        assert_eq!(
            gate.waits_for(cluster, None, 101 + LONGEST),
            [NodeId::from_bytes([2; 16])]
        );
    }

    #[test]
    fn it_opens_when_all_have_shown_or_after_its_time() {
        let cluster = ClusterId::from_bytes([9; 16]);
        let (one, two) = (NodeId::from_bytes([1; 16]), NodeId::from_bytes([2; 16]));
        let closed = || Gate {
            histories: 0,
            closed_at: 100,
            awaited: BTreeMap::from([(cluster, BTreeSet::from([one, two]))]),
        };
        let mut gate = closed();
        let waits = |gate: &Gate, own, now| {
            let mut waits = gate.waits_for(cluster, own, now);
            waits.sort();
            waits
        };
        assert_eq!(waits(&gate, None, 100), [one, two]);
        assert_eq!(waits(&gate, Some(one), 100), [two], "nobody waits for itself");
        assert_eq!(gate.waits_for(ClusterId::from_bytes([8; 16]), None, 100), []);
        gate.shown(cluster, one);
        assert_eq!(waits(&gate, None, 99 + LONGEST), [two]);
        assert_eq!(waits(&gate, None, 100 + LONGEST), []);
        assert_eq!(waits(&gate, None, 50), [], "the clock was set back");
        gate.shown(cluster, two);
        assert_eq!(waits(&gate, None, 101), []);
        // What was shown was shown to another view.
        gate.heed(1, &View::default(), 102);
        assert_eq!((gate.histories, gate.closed_at), (1, 102));
        let mut gate = closed();
        gate.heed(0, &View::default(), 102);
        assert_eq!(waits(&gate, None, 102), [one, two]);
    }
}
