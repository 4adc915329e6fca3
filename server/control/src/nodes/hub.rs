//! What the streams of all nodes share: who is online, encoded states, reports to write.

mod replicas;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portolan_core::command::{Command, NodeReport, Request};
use portolan_core::history::Point;
use portolan_core::model::{Exception, Loss, Micros, NodeStatus, Paths, Paused, Revision, Tickets};
use portolan_core::protocol::gate::Gate;
use portolan_core::protocol::tickets::{self, Shown};
use portolan_core::view::View;
use portolan_shared::ids::{ClusterId, NodeId};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::liveness::{Holders, Liveness, Replica, last_heard};
use super::losses::Losses;
use super::pki::Ca;
use super::report::Reports;
use super::seal::Seal;
use super::state::States;
use super::turns::{Turn, Turns};
use crate::control::Control;

/// How often the hub looks for silent nodes.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Every how many looks the nodes online here are compared with those in the store, which reads all nodes.
const COMPARE_EVERY: u32 = 8;

/// Every how many looks a replica writes its beat: every 10 s.
const BEAT_EVERY: u32 = 40;

/// The same where there is only one: every minute. It says until when nodes were heard, if the process is killed.
const LONE_BEAT_EVERY: u32 = 240;

/// A stream as others see it.
pub(super) struct Place {
    /// Its number.
    pub(super) number: u64,
    pub(super) signals: Arc<Signals>,
}

/// What a stream is told by others.
#[derive(Default)]
pub(super) struct Signals {
    /// Notified when the node opens another stream, which ends this one.
    pub(super) replaced: Notify,
    /// Notified when another node of the cluster needs a block and none is free.
    pub(super) blocks_wanted: Notify,
}

/// A node's stream, as the hub holds it.
struct Held {
    /// Its number.
    number: u64,
    /// The ticket that it was given; 0: none, as version 1 knows none.
    ticket: u64,
    /// What its probes said last.
    paths: Option<Paths>,
    signals: Arc<Signals>,
}

/// Tickets given here, newer than what is stored: that is written later.
#[derive(Default)]
struct Given {
    /// [`Control::histories`] when they were given. Numbers of a history that was lost are given again in the next.
    histories: u64,
    /// By node and machine: what a copy has shown of the node that it was is nothing to the one that the machine becomes.
    tickets: HashMap<(NodeId, [u8; 32]), Tickets>,
}

/// What the streams of all nodes share: who is online, encoded states, reports to write.
pub(super) struct Hub {
    pub(super) control: Control,
    pub(super) ca: Arc<Ca>,
    pub(super) seal: Arc<Seal>,
    pub(super) states: States,
    pub(super) reports: Reports,
    pub(super) losses: Losses,
    turns: Arc<Turns>,
    gate: Mutex<Gate>,
    given: Mutex<Given>,
    /// Which replica of the control plane this is; `None` if there is only one.
    replica: Option<Replica>,
    holders: Mutex<Holders>,
    /// The nodes that were online when the control plane before this one ended, each with its last contact.
    awaited: Vec<(NodeId, Micros)>,
    liveness: Mutex<Liveness>,
    places: Mutex<BTreeMap<NodeId, Held>>,
    numbers: AtomicU64,
}

impl Hub {
    pub(super) fn new(control: Control, ca: Arc<Ca>, turns: Turns) -> Self {
        let replica = control.replicated().then(|| {
            let mut replica = [0; 16];
            control.random(&mut replica);
            replica
        });
        Self::among(control, ca, turns, replica)
    }

    /// The hub of one replica among several. Nodes that another replica holds are not expected here.
    pub(super) fn among(control: Control, ca: Arc<Ca>, turns: Turns, replica: Option<Replica>) -> Self {
        let now = control.now();
        let awaited = control.read(|view| {
            let statuses = view.nodes().filter_map(|node| view.node_status(node.id));
            let expected = |status: &&NodeStatus| status.online && (replica.is_none() || status.held_by.is_none());
            let expected: Vec<&NodeStatus> = statuses.map(|status| &**status).filter(expected).collect();
            last_heard(&expected)
        });
        let seal = Arc::new(Seal::new(ca.secret()));
        Self {
            states: States::new(control.clone(), Arc::clone(&seal)),
            seal,
            gate: Mutex::new(control.read(|view| Gate::new(control.histories(), view, now))),
            given: Mutex::default(),
            control,
            ca,
            reports: Reports::default(),
            losses: Losses::default(),
            turns: Arc::new(turns),
            replica,
            holders: Mutex::default(),
            liveness: Mutex::new(Liveness::at_start(awaited.iter().copied(), now)),
            awaited,
            places: Mutex::default(),
            numbers: AtomicU64::new(1),
        }
    }

    /// Waits until a node of this cluster may begin.
    pub(super) async fn turn(&self, cluster: ClusterId) -> Turn {
        let project = self
            .control
            .read(|view| view.cluster(cluster).map(|cluster| cluster.meta.project));
        self.turns.take(project).await
    }

    /// An empty report, to be filled in.
    fn report(&self, node: NodeId) -> NodeReport {
        NodeReport {
            by: self.replica,
            ..NodeReport::of(node)
        }
    }

    /// Where the store is, unless another history has taken the place of that which a stream began in:
    /// [`Control::histories`] was `histories` then.
    pub(super) fn within(&self, histories: u64) -> Option<Point> {
        self.control.read(|view| {
            let same = self.control.histories() == histories;
            same.then(|| view.point(view.head()))
        })
    }

    /// A node has shown which history it has, and what it holds of another.
    pub(super) fn shown(&self, node: NodeId) {
        self.at_gate(|gate, view| {
            if let Some(node) = view.node(node) {
                gate.shown(node.cluster, node.id);
            }
        });
    }

    /// Nodes of a cluster that have to show what they hold before a block is leased in it, to `own`.
    pub(super) fn lease_waits_for(&self, cluster: ClusterId, own: Option<NodeId>) -> Vec<NodeId> {
        let now = self.control.now();
        self.at_gate(|gate, _| gate.waits_for(cluster, own, now))
    }

    /// Asks the nodes of a cluster that have a stream here for blocks that they do not need: all but the one that wants one.
    pub(super) fn want_blocks(&self, cluster: ClusterId, wants: Option<NodeId>) {
        let others: Vec<NodeId> = self.control.read(|view| {
            let others = view.nodes_of(cluster).filter(|node| Some(node.id) != wants);
            others.map(|node| node.id).collect()
        });
        let places = self.places.lock();
        for held in others.iter().filter_map(|node| places.get(node)) {
            held.signals.blocks_wanted.notify_one();
        }
    }

    fn at_gate<R>(&self, ask: impl FnOnce(&mut Gate, &View) -> R) -> R {
        let now = self.control.now();
        let mut gate = self.gate.lock();
        self.control.read(|view| {
            gate.heed(self.control.histories(), view, now);
            ask(&mut gate, view)
        })
    }

    /// Looks at the ticket that a node's machine shows (0: none), and gives it the next one. `None`: it is a copy of the
    /// machine, or was put back to an older state.
    pub(super) fn next_ticket(&self, node: NodeId, machine: [u8; 32], shown: u64) -> Option<Tickets> {
        let (stored, histories) = self.control.read(|view| {
            let stored = view.node_status(node).map(|status| status.tickets);
            (stored, self.control.histories())
        });
        let mut given = self.given.lock();
        if given.histories != histories {
            *given = Given {
                histories,
                ..Given::default()
            };
        }
        let known = given.tickets.get(&(node, machine)).copied().unwrap_or_default();
        // Another replica may have given newer ones.
        let known = tickets::both(stored.unwrap_or_default(), known);
        let is_of_this_history = |run| self.control.read(|view| view.history().has_run(run));
        match tickets::look(known, shown, self.control.run(), is_of_this_history) {
            Shown::Machine(tickets) => {
                given.tickets.insert((node, machine), tickets);
                drop(given);
                self.reports.add(NodeReport {
                    tickets: Some((machine, tickets)),
                    ..self.report(node)
                });
                Some(tickets)
            }
            Shown::Copy => {
                drop(given);
                tracing::error!(%node, shown, newest = known.given, "two machines show the identity of one node");
                self.reports.add(NodeReport {
                    copied: Some(self.control.now()),
                    ..self.report(node)
                });
                None
            }
        }
    }

    /// A node has opened a stream, for which it was given this ticket; its earlier one, if any, is told to end.
    pub(super) fn connected(&self, node: NodeId, ticket: u64, agent_version: &str) -> Place {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let signals = Arc::new(Signals::default());
        let held = Held {
            number,
            ticket,
            paths: None,
            signals: Arc::clone(&signals),
        };
        if let Some(before) = self.places.lock().insert(node, held) {
            before.signals.replaced.notify_one();
        }
        self.liveness.lock().connected(node, number);
        let (online, same_version) = self.control.read(|view| {
            let status = view.node_status(node);
            (
                status.is_some_and(|s| s.online && s.awaited.is_none() && s.held_by == self.replica),
                status.is_some_and(|s| s.agent_version == agent_version),
            )
        });
        let tell_online = !online || self.reports.waits(node);
        if tell_online || !same_version {
            self.reports.add(NodeReport {
                online: tell_online.then(|| (true, self.control.now())),
                agent_version: (!same_version).then(|| agent_version.to_owned()),
                ..self.report(node)
            });
        }
        Place { number, signals }
    }

    /// A stream is over.
    pub(super) fn lost(&self, node: NodeId, place: &Place, last_contact: Micros) {
        let mut places = self.places.lock();
        let newest = places.get(&node).is_some_and(|held| held.number == place.number);
        if newest {
            places.remove(&node);
        }
        drop(places);
        if newest {
            self.forget_paths(node);
        }
        self.liveness
            .lock()
            .lost(node, place.number, last_contact, self.control.now());
    }

    /// What a node's kernel holds, and what it refused. Written only when something is new: a node that is up to date
    /// writes nothing when other clusters change.
    pub(super) fn applied(
        &self,
        node: NodeId,
        revision: Revision,
        exceptions: Vec<Exception>,
        losses: Vec<Loss>,
        paused: Option<Paused>,
    ) {
        let (known, told, before) = self.control.read(|view| {
            let Some(status) = view.node_status(node) else {
                return (false, losses.is_empty(), None);
            };
            let needed = view.cluster_revision(status.cluster).max(1);
            let known = status.exceptions == exceptions
                && status.paused == paused
                && status.applied_revision >= revision.min(needed);
            (known, status.losses == losses, status.paused.clone())
        });
        match &paused {
            now if *now == before => {}
            Some(Paused { by, .. }) => tracing::warn!(%node, by, "healing is paused on a node"),
            None => tracing::info!(%node, "healing goes on on a node"),
        }
        if !known || self.reports.waits(node) {
            self.reports.add(NodeReport {
                applied: Some((revision, exceptions)),
                paused: Some(paused),
                ..self.report(node)
            });
        }
        if !told || self.losses.wait_for(node) {
            self.losses.add(node, losses);
        }
    }

    /// What a node's probes say. Written only when it is something else than before.
    pub(super) fn paths(&self, node: NodeId, paths: Paths) {
        if let Some(held) = self.places.lock().get_mut(&node) {
            held.paths = Some(paths.clone());
        }
        let known = self.control.read(|view| {
            view.node_status(node)
                .is_some_and(|status| status.paths.as_ref() == Some(&paths))
        });
        if !known || self.reports.waits(node) {
            self.reports.add(NodeReport {
                paths: Some(Some(paths)),
                ..self.report(node)
            });
        }
    }

    /// The stream of a node has ended: perhaps its agent has, and then it answers no probes. Others may not be taken to say
    /// more of it than that.
    fn forget_paths(&self, node: NodeId) {
        let known = |view: &View| view.node_status(node).is_some_and(|status| status.paths.is_some());
        if self.control.read(known) {
            self.reports.add(NodeReport {
                paths: Some(None),
                ..self.report(node)
            });
        }
    }

    /// Looks for nodes that are silent or back, and reports them, until dropped.
    pub(super) async fn watch(&self) {
        self.wait_for_all().await;
        let beat_every = self.replica.map_or(LONE_BEAT_EVERY, |_| BEAT_EVERY);
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in 0_u32.. {
            ticks.tick().await;
            let now = self.control.now();
            self.look(now);
            if round % COMPARE_EVERY == 0 {
                self.compare(now);
                self.end_replaced();
                self.look_at_others(now);
            }
            if round % beat_every == 0 {
                self.beat(now);
            }
            if round % LONE_BEAT_EVERY == 0
                && let Err(refusal) = self.control.time_to_issue()
            {
                tracing::error!(%refusal, "this machine's clock is behind");
            }
        }
    }

    /// Records that the nodes that were online before the start are waited for. Those that have come back already are
    /// found by [`compare`](Self::compare).
    async fn wait_for_all(&self) {
        if self.awaited.is_empty() {
            return;
        }
        tracing::info!(
            nodes = self.awaited.len(),
            "waiting for nodes that were online before the start"
        );
        let command = Command::AwaitNodes(self.awaited.clone());
        if let Err(refusal) = self.control.write(Request::system(command)).await {
            tracing::warn!(%refusal, "cannot record that nodes are waited for");
        }
    }

    /// Reports the nodes that have become silent.
    pub(super) fn look(&self, now: Micros) {
        let silent = self.liveness.lock().silent(now);
        for (node, last_contact) in silent {
            if self.control.read(|view| view.node(node).is_some()) {
                tracing::warn!(%node, "the node's agent does not report any more");
                self.reports.add(NodeReport {
                    online: Some((false, last_contact)),
                    ..self.report(node)
                });
            }
        }
    }

    /// Nodes that have a stream here, in id order.
    pub(super) fn online(&self) -> Vec<NodeId> {
        self.liveness.lock().online().collect()
    }

    /// Reports nodes as online that are connected here but stored as offline or waited for, and what their probes said that
    /// is stored no more: another replica, or a late report, wrote that.
    fn compare(&self, now: Micros) {
        let said = |node| self.places.lock().get(&node).and_then(|held| held.paths.clone());
        // Before the view is locked: others lock it while they hold the places.
        let online: Vec<_> = self.online().into_iter().map(|node| (node, said(node))).collect();
        let mistaken: Vec<(NodeId, bool, Option<Paths>)> = self.control.read(|view| {
            let compared = online.into_iter().filter_map(|(node, said)| {
                let status = view.node_status(node)?;
                let away = !status.online || status.awaited.is_some();
                let unsaid = said.filter(|_| away || status.paths.is_none());
                (away || unsaid.is_some()).then_some((node, away, unsaid))
            });
            compared.collect()
        });
        for (node, away, unsaid) in mistaken.into_iter().filter(|(node, ..)| !self.reports.waits(*node)) {
            self.reports.add(NodeReport {
                online: away.then_some((true, now)),
                paths: unsaid.map(Some),
                ..self.report(node)
            });
        }
    }
}
