//! Which nodes are online. Pure: callers pass the time.
//!
//! A lost stream does not mean a lost node: agents restart, links flap. A node is silent only after a grace period,
//! counted as silent since its last contact. After a start of the control plane, nodes stored as online have a longer
//! grace to come back.

use std::collections::{BTreeMap, HashMap, HashSet};

use portolan_core::model::{Micros, NodeStatus};
use portolan_shared::ids::NodeId;

/// How long a lost stream may take to come back: 3 s.
pub(super) const GRACE: Micros = 3_000_000;

/// How long all agents may take to come back after a start of the control plane: 10 s.
pub(super) const START_GRACE: Micros = 10_000_000;

/// After how long without a beat a replica counts as dead and its nodes as silent: 30 s.
pub(super) const DEAD: Micros = 30_000_000;

/// When nodes were last heard whose stream a process held that is gone: each at the newest beat of that process, or when
/// it came online, if that was later. By a clock that is behind, that may be in the future; what it says now is nobody's
/// last word.
pub(super) fn last_heard(statuses: &[&NodeStatus]) -> Vec<(NodeId, Micros)> {
    let beats = statuses.iter().map(|status| status.beat);
    let newest = beats.max().unwrap_or_default();
    let heard = |status: &&NodeStatus| (status.node, status.since.max(newest));
    statuses.iter().map(heard).collect()
}

/// A replica of the control plane, until its process ends.
pub(super) type Replica = [u8; 16];

/// Other replicas, by the beats they write. A beat that changes means that the replica lives; the time in it is not
/// compared with this clock.
#[derive(Default)]
pub(super) struct Holders {
    /// The newest beat of each, and when it was first seen here.
    seen: HashMap<Replica, (Micros, Micros)>,
}

impl Holders {
    /// Takes in the newest beat of each replica that holds nodes; returns those whose beat has not changed for
    /// [`DEAD`].
    pub(super) fn dead(&mut self, beats: &HashMap<Replica, Micros>, now: Micros) -> HashSet<Replica> {
        self.seen.retain(|replica, _| beats.contains_key(replica));
        let dead = beats.iter().filter(|(replica, beat)| {
            let (last, at) = self.seen.entry(**replica).or_insert((**beat, now));
            // Watched anew also when the clock was set back: else it would live until then.
            if last != *beat || now < *at {
                (*last, *at) = (**beat, now);
            }
            now - *at >= DEAD
        });
        dead.map(|(replica, _)| *replica).collect()
    }
}

enum Presence {
    /// Connected by the stream of this number.
    Connected(u64),
    /// Not connected; silent after `since..until` if it does not come back.
    Away {
        since: Micros,
        until: Micros,
        last_contact: Micros,
    },
}

/// Nodes that are connected or may come back.
#[derive(Default)]
pub(super) struct Liveness {
    nodes: BTreeMap<NodeId, Presence>,
}

impl Liveness {
    /// At the start: the nodes that the store says are online, each with its last contact.
    pub(super) fn at_start(online: impl IntoIterator<Item = (NodeId, Micros)>, now: Micros) -> Self {
        let away = |(node, last_contact)| {
            (
                node,
                Presence::Away {
                    since: now,
                    until: now + START_GRACE,
                    last_contact,
                },
            )
        };
        Self {
            nodes: online.into_iter().map(away).collect(),
        }
    }

    /// A node has opened a stream, which replaces its earlier one.
    pub(super) fn connected(&mut self, node: NodeId, stream: u64) {
        self.nodes.insert(node, Presence::Connected(stream));
    }

    /// A stream is lost. Changes nothing if the node has opened another since.
    pub(super) fn lost(&mut self, node: NodeId, stream: u64, last_contact: Micros, now: Micros) {
        if let Some(presence) = self.nodes.get_mut(&node)
            && matches!(presence, Presence::Connected(current) if *current == stream)
        {
            *presence = Presence::Away {
                since: now,
                until: now + GRACE,
                last_contact,
            };
        }
    }

    /// Nodes whose grace is over, in id order, with their last contact; each is told once.
    pub(super) fn silent(&mut self, now: Micros) -> Vec<(NodeId, Micros)> {
        let mut silent = Vec::new();
        self.nodes.retain(|node, presence| match presence {
            // A clock that was set back must not keep it online.
            Presence::Away {
                since,
                until,
                last_contact,
            } if !(*since..*until).contains(&now) => {
                silent.push((*node, *last_contact));
                false
            }
            _ => true,
        });
        silent
    }

    /// Nodes that are connected now, in id order.
    pub(super) fn online(&self) -> impl Iterator<Item = NodeId> {
        self.nodes
            .iter()
            .filter(|(_, presence)| matches!(presence, Presence::Connected(_)))
            .map(|(node, _)| *node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId::from_bytes([1; 16]);
    const S: Micros = 1_000_000;

    #[test]
    fn a_replica_is_dead_when_its_beat_has_not_changed_for_long() {
        let (one, two) = ([1; 16], [2; 16]);
        let mut holders = Holders::default();
        let beats = |a, b| HashMap::from([(one, a), (two, b)]);
        assert!(
            holders.dead(&beats(5, 900), 100).is_empty(),
            "not before it was watched"
        );
        assert!(holders.dead(&beats(5, 901), 100 + DEAD / 2).is_empty());
        assert_eq!(holders.dead(&beats(5, 901), 100 + DEAD), HashSet::from([one]));
        assert!(
            holders.dead(&beats(6, 902), 101 + DEAD).is_empty(),
            "it lives after all"
        );
        assert!(holders.dead(&HashMap::from([(two, 902)]), 102 + DEAD).is_empty());
        assert!(holders.dead(&beats(6, 903), 102 + 2 * DEAD).is_empty(), "watched anew");
    }

    #[test]
    fn a_lost_stream_is_forgiven_within_the_grace() {
        let mut liveness = Liveness::default();
        liveness.connected(NODE, 1);
        liveness.lost(NODE, 1, 9 * S, 10 * S);
        assert_eq!(liveness.silent(13 * S - 1), []);
        liveness.connected(NODE, 2);
        assert_eq!(liveness.silent(60 * S), []);
        assert_eq!(liveness.online().collect::<Vec<_>>(), [NODE]);
    }

    #[test]
    fn after_the_grace_it_is_silent_since_its_last_contact_and_that_is_told_once() {
        let mut liveness = Liveness::default();
        liveness.connected(NODE, 1);
        liveness.lost(NODE, 1, 9 * S, 10 * S);
        assert_eq!(liveness.silent(13 * S), [(NODE, 9 * S)]);
        assert_eq!(liveness.silent(14 * S), []);
        assert_eq!(liveness.online().count(), 0);
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_online_or_alive() {
        let mut liveness = Liveness::default();
        liveness.connected(NODE, 1);
        liveness.lost(NODE, 1, 99 * S, 100 * S);
        assert_eq!(liveness.silent(10 * S), [(NODE, 99 * S)]);
        let mut holders = Holders::default();
        let beats = HashMap::from([([1; 16], 5)]);
        assert!(holders.dead(&beats, 1000 * S).is_empty());
        assert!(holders.dead(&beats, 10 * S).is_empty(), "watched anew");
        assert_eq!(holders.dead(&beats, 10 * S + DEAD).len(), 1);
    }

    #[test]
    fn the_end_of_a_replaced_stream_is_no_news() {
        let mut liveness = Liveness::default();
        liveness.connected(NODE, 1);
        liveness.connected(NODE, 2);
        liveness.lost(NODE, 1, S, S);
        assert_eq!(liveness.silent(60 * S), []);
        liveness.lost(NODE, 2, 2 * S, 2 * S);
        // Lost twice changes nothing.
        liveness.lost(NODE, 2, 4 * S, 4 * S);
        assert_eq!(liveness.silent(5 * S), [(NODE, 2 * S)]);
    }

    #[test]
    fn after_a_start_those_that_were_online_have_ten_seconds() {
        let other = NodeId::from_bytes([2; 16]);
        let mut liveness = Liveness::at_start([(NODE, 7 * S), (other, 8 * S)], 100 * S);
        liveness.connected(other, 1);
        assert_eq!(liveness.silent(110 * S - 1), []);
        assert_eq!(liveness.silent(110 * S), [(NODE, 7 * S)], "since it was last heard");
    }
}
