//! What all streams share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portolan_shared::ids::{NodeId, ProjectId};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::liveness::Liveness;
use super::pki::Ca;
use super::report::Reports;
use super::state::States;
use crate::command::{Actor, Command, NodeReport, Request};
use crate::control::Control;
use crate::model::{Exception, Micros, Revision};

/// How often is looked who is silent.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// At every which look is compared who is online here and in the store: it costs a read of all.
const COMPARE_EVERY: u32 = 8;

/// A stream as others see it.
pub(super) struct Place {
    /// Its number.
    pub(super) number: u64,
    /// Rung when the node has another stream.
    pub(super) replaced: Arc<Notify>,
}

/// What all streams share.
pub(super) struct Hub {
    pub(super) control: Control,
    pub(super) ca: Arc<Ca>,
    pub(super) states: States,
    pub(super) reports: Reports,
    liveness: Mutex<Liveness>,
    places: Mutex<HashMap<NodeId, (u64, Arc<Notify>)>>,
    numbers: AtomicU64,
}

impl Hub {
    pub(super) fn new(control: Control, ca: Arc<Ca>) -> Self {
        let now = control.now();
        let online: Vec<NodeId> = control.read(|view| {
            let statuses = view.nodes().filter_map(|node| view.node_status(node.id));
            statuses
                .filter(|status| status.online)
                .map(|status| status.node)
                .collect()
        });
        Self {
            states: States::new(control.clone()),
            control,
            ca,
            reports: Reports::default(),
            liveness: Mutex::new(Liveness::at_start(online, now)),
            places: Mutex::default(),
            numbers: AtomicU64::new(1),
        }
    }

    /// A node's stream is there; one that it had before is told to end.
    pub(super) fn connected(&self, node: NodeId, agent_version: &str) -> Place {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let replaced = Arc::new(Notify::new());
        if let Some((_, before)) = self.places.lock().insert(node, (number, Arc::clone(&replaced))) {
            before.notify_one();
        }
        self.liveness.lock().connected(node, number);
        let (online, same_version) = self.control.read(|view| {
            let status = view.node_status(node);
            (
                status.is_some_and(|s| s.online),
                status.is_some_and(|s| s.agent_version == agent_version),
            )
        });
        let tell_online = !online || self.reports.waits(node);
        if tell_online || !same_version {
            self.reports.add(NodeReport {
                node,
                online: tell_online.then(|| (true, self.control.now())),
                applied: None,
                agent_version: (!same_version).then(|| agent_version.to_owned()),
            });
        }
        Place { number, replaced }
    }

    /// A stream is over.
    pub(super) fn lost(&self, node: NodeId, place: &Place, last_contact: Micros) {
        let mut places = self.places.lock();
        if places.get(&node).is_some_and(|(number, _)| *number == place.number) {
            places.remove(&node);
        }
        drop(places);
        self.liveness
            .lock()
            .lost(node, place.number, last_contact, self.control.now());
    }

    /// What a node's kernel holds, and what it refused. Written only when it is news: a node whose
    /// kernel holds what its cluster needs does not move with every commit of others.
    pub(super) fn applied(&self, node: NodeId, revision: Revision, exceptions: Vec<Exception>) {
        let known = self.control.read(|view| {
            view.node_status(node).is_some_and(|status| {
                let needed = view.cluster_revision(status.cluster).max(1);
                status.exceptions == exceptions && status.applied_revision >= revision.min(needed)
            })
        });
        if !known || self.reports.waits(node) {
            let applied = Some((revision, exceptions));
            self.reports.add(NodeReport {
                node,
                online: None,
                applied,
                agent_version: None,
            });
        }
    }

    /// Tells who is silent and who is not, until dropped.
    pub(super) async fn watch(&self) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in 0_u32.. {
            ticks.tick().await;
            let now = self.control.now();
            self.look(now);
            if round % COMPARE_EVERY == 0 {
                self.compare(now);
            }
        }
    }

    /// Tells who is silent.
    fn look(&self, now: Micros) {
        let silent = self.liveness.lock().silent(now);
        for (node, last_contact) in silent {
            if self.control.read(|view| view.node(node).is_some()) {
                tracing::warn!(%node, "the node's agent does not report any more");
                let online = Some((false, last_contact));
                self.reports.add(NodeReport {
                    node,
                    online,
                    applied: None,
                    agent_version: None,
                });
            }
        }
    }

    /// Nodes that have a stream here.
    pub(super) fn online(&self) -> Vec<NodeId> {
        self.liveness.lock().online().collect()
    }

    /// Tells that nodes are online of which another replica, or a report that was on its way, has
    /// said otherwise.
    fn compare(&self, now: Micros) {
        let online = self.online();
        let mistaken: Vec<NodeId> = self.control.read(|view| {
            let offline = |node: &NodeId| view.node_status(*node).is_some_and(|status| !status.online);
            online.into_iter().filter(offline).collect()
        });
        for node in mistaken.into_iter().filter(|node| !self.reports.waits(*node)) {
            self.reports.add(NodeReport {
                node,
                online: Some((true, now)),
                applied: None,
                agent_version: None,
            });
        }
    }
}

/// A command of the control plane's own.
pub(super) fn system_request(command: Command) -> Request {
    request(Actor::System, command)
}

/// A command of a node's agent.
pub(super) fn node_request(node: NodeId, command: Command) -> Request {
    request(Actor::Node(node), command)
}

fn request(actor: Actor, command: Command) -> Request {
    Request {
        actor,
        project: ProjectId::from_bytes([0; 16]),
        everywhere: true,
        if_match: None,
        idempotency: None,
        dry_run: false,
        command,
    }
}
