//! What replicas of the control plane say of each other's nodes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use portolan_core::command::NodeReport;
use portolan_core::model::{Micros, NodeStatus};
use portolan_shared::ids::NodeId;

use super::Hub;
use crate::nodes::liveness::{Replica, last_heard};

impl Hub {
    /// Ends streams of nodes that have opened another at another replica: their reports do not count beside those of that
    /// one. So an agent learns that its machine was copied, and reports all of its pods again.
    pub(super) fn end_replaced(&self) {
        let places = self.places.lock();
        self.control.read(|view| {
            for (node, held) in places.iter().filter(|(_, held)| held.ticket > 0) {
                let newest = view.node_status(*node).map_or(0, |status| status.tickets.given);
                if newest > held.ticket {
                    held.signals.replaced.notify_one();
                }
            }
        });
    }

    /// Reports nodes as silent whose replica is dead and that have not connected here.
    pub(in crate::nodes) fn look_at_others(&self, now: Micros) {
        let Some(own) = self.replica else { return };
        let held: Vec<(Replica, Arc<NodeStatus>)> = self.control.read(|view| {
            let statuses = view.nodes().filter_map(|node| view.node_status(node.id));
            let held = statuses.filter(|status| status.online);
            held.filter_map(|status| Some((status.held_by.filter(|by| *by != own)?, Arc::clone(status))))
                .collect()
        });
        let mut beats: HashMap<Replica, Micros> = HashMap::new();
        for (replica, status) in &held {
            let newest = beats.entry(*replica).or_insert(status.beat);
            *newest = (*newest).max(status.beat);
        }
        let dead = self.holders.lock().dead(&beats, now);
        if dead.is_empty() {
            return;
        }
        let here: HashSet<NodeId> = self.online().into_iter().collect();
        for replica in dead {
            let lost = held
                .iter()
                .filter(|(by, status)| *by == replica && !here.contains(&status.node));
            let lost: Vec<&NodeStatus> = lost.map(|(_, status)| &**status).collect();
            for (node, last_contact) in last_heard(&lost) {
                tracing::warn!(%node, "the replica that held the node's stream does not live any more");
                self.reports.add(NodeReport {
                    online: Some((false, last_contact)),
                    by: Some(replica),
                    ..self.report(node)
                });
            }
        }
    }

    /// Writes that this process lives, in the status of one of its nodes.
    pub(in crate::nodes) fn beat(&self, now: Micros) {
        let online = self.online();
        let mine = self.control.read(|view| {
            let holds = |node: &NodeId| {
                view.node_status(*node)
                    .is_some_and(|status| status.held_by == self.replica)
            };
            online.into_iter().find(holds)
        });
        if let Some(node) = mine {
            self.reports.add(NodeReport {
                beat: Some(now),
                ..self.report(node)
            });
        }
    }
}
