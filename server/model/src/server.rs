//! What the control planes do, by their own decisions.

use std::collections::BTreeMap;

use portolan_core::command::{ClaimedNode, Outcome};
use portolan_core::model::{Micros, Node, NodeStatus, Tickets};
use portolan_core::protocol::gate::Gate;
use portolan_core::protocol::leases::{Lease, Shown};
use portolan_core::protocol::resume::{Has, Resume, resume};
use portolan_core::protocol::standing::Standing;
use portolan_core::protocol::tickets;
use portolan_shared::ids::{BlockId, NodeId};
use portolan_shared::refusal::Refusal;
use portolan_wire::agent::{self, Welcome};
use portolan_wire::item::{Items, read};
use portolan_wire::{PROTOCOL, SPANS, field};

use crate::protocol::{Planted, Protocol};
use crate::shared::Shared;
use crate::store::{Ask, CLUSTER, Rows, key, run};
use crate::told;
use crate::world::{Begin, Down, Machine, Server, Stream, Ticketed, Up, Within, World};

/// The moment of everything: the gate's patience does not end.
pub(crate) const NOW: Micros = 0;

impl Server {
    /// One that has just loaded the store.
    pub(crate) fn new(protocol: &Protocol, store: &Shared<Rows>) -> Self {
        Self {
            view: store.clone(),
            begun: false,
            gate: protocol
                .gates
                .get(store.clone(), |rows| Shared::new(Gate::new(0, &rows.view(), NOW))),
            given: BTreeMap::new(),
        }
    }

    /// Whether a lease has to wait, to a node that may be this one.
    fn waits(&self, own: Option<NodeId>) -> bool {
        !self.gate.waits_for(CLUSTER, own, NOW).is_empty()
    }

    fn shown(&mut self, node: NodeId) {
        if self.view.nodes().any(|known| known.id == node) {
            let mut gate = (*self.gate).clone();
            gate.shown(CLUSTER, node);
            self.gate = Shared::new(gate);
        }
    }
}

impl World {
    /// A control plane brings its view up to the store. One that saw another history begins anew.
    pub(crate) fn look(&mut self, protocol: &Protocol, server: u8) {
        let at = &mut self.servers[usize::from(server)];
        if self.store.holds(&at.view) {
            at.view = self.store.clone();
        } else {
            self.restart(protocol, server);
        }
    }

    /// A control plane begins anew: its streams end.
    pub(crate) fn restart(&mut self, protocol: &Protocol, server: u8) {
        self.servers[usize::from(server)] = Server::new(protocol, &self.store);
        self.late.retain(|late| late.server != server);
        for machine in &mut self.machines {
            machine.stream.take_if(|stream| stream.server == server);
        }
    }

    /// A control plane has this decided and written.
    pub(crate) fn write(&mut self, protocol: &Protocol, server: u8, ask: Ask) -> Result<Outcome, Refusal> {
        self.write_within(protocol, server, None, ask)
    }

    /// The same, in the history that holds what the control plane last saw.
    fn write_told(&mut self, protocol: &Protocol, server: u8, ask: Ask) -> Result<Outcome, Refusal> {
        let within = self.servers[usize::from(server)].view.clone();
        self.write_within(protocol, server, Some(within), ask)
    }

    fn write_within(
        &mut self,
        protocol: &Protocol,
        server: u8,
        within: Option<Shared<Rows>>,
        ask: Ask,
    ) -> Result<Outcome, Refusal> {
        self.look(protocol, server);
        // One that is held makes no difference.
        let within = within
            .filter(|within| !self.store.holds(within))
            .map(|within| Within(within.point()));
        let begins = (!self.servers[usize::from(server)].begun).then_some(self.runs + 1);
        let (rows, answer) = protocol.decided.get(
            (self.store.clone(), begins, within, ask),
            |(rows, begins, within, ask)| {
                let (rows, answer) = rows.ask(begins.map(run), within.map(|within| within.0), ask);
                (Shared::new(rows), answer)
            },
        );
        if rows != self.store {
            self.runs = begins.unwrap_or(self.runs);
            self.store = rows;
            self.servers[usize::from(server)].begun = true;
            // Others follow, but for one that has not noticed yet that there is another history.
            for other in &mut self.servers {
                if self.store.holds(&other.view) {
                    other.view = self.store.clone();
                }
            }
        }
        answer
    }

    /// Who a machine is to a control plane.
    pub(crate) fn standing(&self, protocol: &Protocol, server: u8, machine: &Machine) -> Standing {
        let Some(node) = machine.node else {
            return Standing::Unknown;
        };
        let view = self.servers[usize::from(server)].view.clone();
        protocol
            .standings
            .get((view, node, machine.number), |(rows, node, number)| {
                Standing::of(&rows.view(), CLUSTER, *node, key(*number))
            })
    }

    /// An agent says hello.
    pub(crate) fn connect(&mut self, protocol: &Protocol, number: u8, server: u8) {
        self.look(protocol, server);
        let at = usize::from(number);
        let machine = self.machines[at].clone();
        let Some(node) = machine.node else { return };
        match self.standing(protocol, server, &machine) {
            Standing::Node => {}
            Standing::Removed => {
                self.machines[at].removed = true;
                return;
            }
            Standing::Waits | Standing::Unknown => return,
        }
        let Some(ticket) = self.ticket(protocol, server, node, &machine) else {
            return;
        };
        let view = self.servers[usize::from(server)].view.clone();
        let (begin, shown) = protocol.begun.get(
            (view.clone(), machine.desired.clone(), node),
            |(rows, desired, node)| {
                let (begin, shown) = begin(rows, desired, *node);
                (Shared::new(begin), shown)
            },
        );
        if shown.is_none() {
            self.servers[usize::from(server)].shown(node);
        }
        // Another stream of the node's there ends.
        for other in &mut self.machines {
            other
                .stream
                .take_if(|stream| stream.server == server && other.node == Some(node));
        }
        self.machines[at].stream = Some(Stream {
            server,
            up: Vec::new(),
            down: vec![Down::Begin(ticket, begin)],
            shown,
            told: view,
            ended: false,
            arriving: None,
            claiming: false,
            reported: None,
            owed: false,
        });
    }

    /// The ticket that a machine is given; `None`: it is a copy, which is written down.
    fn ticket(&mut self, protocol: &Protocol, server: u8, node: NodeId, machine: &Machine) -> Option<u64> {
        let status = self.store.all::<NodeStatus>().find(|status| status.node == node);
        let here = &mut self.servers[usize::from(server)];
        let known: Tickets = here.given.get(&key(machine.number)).copied().unwrap_or_default().0;
        let stored = status.as_ref().map(|status| status.tickets).unwrap_or_default();
        let known = tickets::both(stored, known);
        // Runs are not told apart here: as if every ticket were given in the history of now, which is the stricter rule.
        match tickets::look(known, machine.ticket, u16::from(server), |_| true) {
            tickets::Shown::Machine(tickets) => {
                here.given.insert(key(machine.number), Ticketed(tickets));
                Some(tickets.given)
            }
            tickets::Shown::Copy => {
                if status.is_none_or(|status| status.copied.is_none()) {
                    let _ = self.write(protocol, server, Ask::Copied(node));
                }
                None
            }
        }
    }

    /// A control plane reads a frame. The answer to a claim, if it is one that was recorded.
    pub(crate) fn read(
        &mut self,
        protocol: &Protocol,
        server: u8,
        node: NodeId,
        shown: Option<Shown>,
        up: Up,
    ) -> Option<u64> {
        match up {
            Up::Want { have } => {
                let waits = self.servers[usize::from(server)].waits(Some(node));
                if !waits || protocol.planted == Some(Planted::NoGate) {
                    let _ = self.write_told(protocol, server, Ask::Lease { node, have });
                }
                None
            }
            Up::LetGo(blocks) => {
                let _ = self.write_told(protocol, server, Ask::Return { node, blocks });
                None
            }
            Up::Pods { pods, seq } => {
                let _ = self.write_told(protocol, server, Ask::Pods { node, pods, seq });
                None
            }
            Up::Claim(parts) => {
                let claim = claim(&self.servers[usize::from(server)].view, node, shown?, &parts);
                let decided = match claim {
                    Some(claim) => {
                        let claimed = self.write_told(protocol, server, Ask::Claim(Shared::new(claim)));
                        claimed.ok()?.revision
                    }
                    None => self.servers[usize::from(server)].view.head,
                };
                self.servers[usize::from(server)].shown(node);
                Some(decided)
            }
        }
    }

    /// Whether a control plane has something to tell an agent.
    pub(crate) fn has_news(&self, protocol: &Protocol, machine: &Machine) -> bool {
        let Some(stream) = &machine.stream else { return false };
        let view = &self.servers[usize::from(stream.server)].view;
        let parted = || self.standing(protocol, stream.server, machine) != Standing::Node;
        !stream.ended && stream.told != *view && (parted() || protocol.told(&stream.told, view).change.is_some())
    }

    /// What a control plane tells an agent, of what it has not told it yet.
    pub(crate) fn news(&mut self, protocol: &Protocol, number: u8, decided: Option<u64>) {
        let machine = &self.machines[usize::from(number)];
        let Some(stream) = &machine.stream else { return };
        let server = stream.server;
        let standing = self.standing(protocol, server, machine);
        let view = self.servers[usize::from(server)].view.clone();
        let Some(stream) = &mut self.machines[usize::from(number)].stream else {
            return;
        };
        if standing != Standing::Node {
            stream.ended = true;
            stream.down.push(Down::Refused(standing == Standing::Removed));
            return;
        }
        let news = protocol.told(&stream.told, &view);
        stream.told = view;
        stream.down.push(match decided {
            Some(revision) => Down::Ack(revision, news),
            None => Down::Change(news),
        });
    }

    /// A host joins.
    pub(crate) fn join(&mut self, protocol: &Protocol, number: u8, server: u8) -> Option<NodeId> {
        self.look(protocol, server);
        let here = &self.servers[usize::from(server)];
        let own = here.view.nodes().find(|node| node.machine() == Some(key(number)));
        if here.waits(own.map(|node| node.id)) {
            return None;
        }
        let joined = self.write_told(protocol, server, Ask::Join(number)).ok()?;
        Some(joined.made::<Node>()?.id)
    }

    /// A machine that is no node any more says what it has let go of.
    pub(crate) fn let_go(&mut self, protocol: &Protocol, number: u8, server: u8, blocks: Vec<BlockId>) -> Standing {
        self.look(protocol, server);
        let machine = self.machines[usize::from(number)].clone();
        if let Some(node) = machine.node {
            let machine = key(machine.number);
            let _ = self.write(protocol, server, Ask::LetGo { node, machine, blocks });
        }
        self.standing(protocol, server, &machine)
    }
}

/// What a stream begins with, for an agent that has this state.
fn begin(rows: &Rows, desired: &portolan_agent::desired::State, node: NodeId) -> (Begin, Option<Shown>) {
    let view = rows.view();
    let incarnation = field::id("incarnation", desired.incarnation()).unwrap_or_default();
    let point = portolan_core::history::Point {
        incarnation: portolan_core::history::Incarnation::from_bytes(incarnation),
        revision: desired.revision(),
    };
    let has = Has {
        older: false,
        nothing: *desired.store() != told::STORE || desired.revision() == 0,
        revision: point.revision,
        told: desired
            .position()
            .is_some_and(|position| position.mark == told::mark(point)),
    };
    let current = desired.digest() == told::items(rows).digest();
    let needs = resume(has, view.holds(point), current, view.cluster_revision(CLUSTER));
    let shown = match needs {
        Resume::OtherHistory { proven } => {
            let spans: Vec<_> = desired.history().iter().filter_map(span).collect();
            Some(Shown {
                revision: point.revision,
                fork: view.history().fork(view.head(), &spans, point.revision),
                proven,
            })
        }
        Resume::Current | Resume::Changes(_) | Resume::Snapshot => None,
    };
    let begin = Begin {
        welcome: Welcome {
            protocol: PROTOCOL,
            store_id: told::STORE.to_vec(),
            head: rows.head,
            resumed: needs == Resume::Current,
            pod_seq: view.node_status(node).map_or(0, |status| status.pod_seq),
            history: told::spans(view.history().newest_spans(SPANS)),
            other_history: shown.is_some(),
            ..Welcome::default()
        },
        // The changes since may be kept no more: then all of it is sent.
        snapshot: (needs != Resume::Current).then(|| told::snapshot(rows)),
        mark: told::progress(rows),
    };
    (begin, shown)
}

fn span(span: &agent::Span) -> Option<portolan_core::history::Span> {
    Some(portolan_core::history::Span {
        incarnation: portolan_core::history::Incarnation::from_bytes(field::id("incarnation", &span.incarnation).ok()?),
        first: span.first,
    })
}

/// A claim as it is handed to the writer.
fn claim(rows: &Rows, by: NodeId, shown: Shown, parts: &[agent::Claim]) -> Option<portolan_core::command::Claim> {
    let items = parts.iter().flat_map(|part| part.items.clone());
    let items: Items = items.filter_map(|item| read(item).ok()).collect();
    let machine = |node: NodeId| {
        let claimed = items.get::<agent::Node>(*node.as_bytes());
        let claimed = claimed.and_then(|node| <[u8; 32]>::try_from(node.machine).ok());
        claimed.or_else(|| rows.nodes().find(|known| known.id == node)?.machine())
    };
    let lease = |block: agent::Block| {
        let node = NodeId::from_bytes(field::id("node_id", &block.node_id).ok()?);
        let lease = Lease {
            cluster: CLUSTER,
            node,
            machine: machine(node)?,
            block: BlockId::from_bytes(field::id("block.id", &block.id).ok()?),
            prefix: field::prefix("prefix", block.prefix.as_ref()?).ok()?,
            leased_at: block.leased_at,
        };
        Some((lease, block.lease))
    };
    let node = |node: agent::Node| {
        Some(ClaimedNode {
            id: NodeId::from_bytes(field::id("node.id", &node.id).ok()?),
            name: node.name,
            addresses: field::addresses("addresses", &node.addresses).ok()?,
        })
    };
    shown.claim(
        by,
        items.all::<agent::Node>().filter_map(node),
        items.all::<agent::Block>().filter_map(lease),
        |lease, proof| told::lease(lease) == *proof,
    )
}
