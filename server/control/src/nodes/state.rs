//! What a cluster's agents are sent: the desired state, encoded once and shared by all of them.
//!
//! A snapshot is encoded once per cluster revision, a change once per commit and cluster; streams clone handles. When
//! three thousand agents of a cluster ask at once, it is encoded once. Agents of protocol version 1 have encodings of
//! their own.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use portolan_core::change::{Commit, Op};
use portolan_core::history::Point;
use portolan_core::model::{Block, Node, Object, Revision};
use portolan_core::protocol::leases::Lease;
use portolan_core::view::View;
use portolan_shared::ids::ClusterId;
use portolan_shared::v1::PathKind;
use portolan_wire::agent::{self, ItemKind, ToAgent, to_agent::Message as Out};
use portolan_wire::digest::Digest;
use portolan_wire::field::{address_bytes, prefix_message};
use portolan_wire::item::{Body, Items, read};
use portolan_wire::{SNAPSHOT_PART, older};
use prost::Message as _;
use tokio_tungstenite::tungstenite::Bytes;

use super::seal::Seal;
use crate::control::Control;

/// How many encoded changes are kept per cluster, for streams that are up to date.
const KEPT_CHANGES: usize = 64;

/// How an agent wants things said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dialect {
    /// As protocol version 1 has it.
    Older,
    /// As this build has it.
    Newest,
}

impl Dialect {
    /// That of an agent of this protocol version.
    pub(super) fn of(protocol: u32) -> Self {
        if protocol == older::VERSION {
            Self::Older
        } else {
            Self::Newest
        }
    }
}

/// A cluster's desired state, as its agents are sent it.
pub(super) struct Encoded {
    /// The cluster's revision: the commit that last changed the state.
    pub(super) cluster_revision: Revision,
    /// Digest of the state.
    pub(super) digest: Digest,
    /// Frames of a snapshot, in order.
    pub(super) parts: Vec<Bytes>,
    /// What is written in the snapshot: the head when it was encoded.
    head: Point,
}

#[derive(Default)]
struct Slot {
    snapshot: Option<Arc<Encoded>>,
    /// By revision, the newest last.
    changes: VecDeque<(Point, Bytes)>,
}

type Slots = BTreeMap<Dialect, Slot>;

/// All clusters' encoded states.
pub(super) struct States {
    control: Control,
    seal: Arc<Seal>,
    slots: Mutex<HashMap<ClusterId, Arc<Mutex<Slots>>>>,
}

impl States {
    pub(super) fn new(control: Control, seal: Arc<Seal>) -> Self {
        Self {
            control,
            seal,
            slots: Mutex::default(),
        }
    }

    /// The state of a cluster, and the head up to which it is true. `None` if there is no such cluster.
    pub(super) fn current(&self, id: ClusterId, dialect: Dialect) -> Option<(Arc<Encoded>, Point)> {
        self.at_least(id, dialect, 0)
    }

    /// The frames of a snapshot for an agent that holds the state of a revision. They are never older: the agent would
    /// not take them. `None` if there is no such cluster.
    pub(super) fn snapshot(&self, id: ClusterId, dialect: Dialect, holds: Revision) -> Option<Vec<Bytes>> {
        let (state, _) = self.at_least(id, dialect, holds)?;
        Some(state.parts.clone())
    }

    fn at_least(&self, id: ClusterId, dialect: Dialect, oldest: Revision) -> Option<(Arc<Encoded>, Point)> {
        let slots = self.slots(id);
        let mut slots = slots.lock();
        let slot = slots.entry(dialect).or_default();
        let cached = slot.snapshot.clone();
        let (stands, parts, revision, head) = self.control.read(|view| {
            let revision = view.cluster_revision(id);
            let stands = cached.filter(|cached| {
                cached.cluster_revision == revision
                    && cached.head.revision >= oldest
                    && view.holds(cached.head)
                    && view.cluster(id).is_some()
            });
            let parts = if stands.is_none() {
                Parts::read(&self.seal, view, id)
            } else {
                None
            };
            (stands, parts, revision, view.point(view.head()))
        });
        if let Some(encoded) = stands {
            return Some((encoded, head));
        }
        let Some(parts) = parts else {
            drop(slots);
            self.slots.lock().remove(&id);
            return None;
        };
        let position = self.position(head);
        let encoded = Arc::new(parts.encode(&self.seal, dialect, revision, head, position));
        slot.snapshot = Some(Arc::clone(&encoded));
        Some((encoded, head))
    }

    /// The frame that tells a cluster's agents of a commit.
    pub(super) fn change(&self, id: ClusterId, dialect: Dialect, commit: &Commit) -> Bytes {
        let point = self.control.read(|view| view.point(commit.revision));
        let slots = self.slots(id);
        let mut slots = slots.lock();
        let slot = slots.entry(dialect).or_default();
        if let Some((_, frame)) = slot.changes.iter().rev().find(|(of, _)| *of == point) {
            return frame.clone();
        }
        let message = self.change_message(id, commit, point);
        let frame = frame(Out::Change(match dialect {
            Dialect::Older => older::change(message),
            Dialect::Newest => message,
        }));
        // A stream far behind asks for old commits. They are not kept: they would push out what all others need.
        let newest = slot.changes.back().map(|(newest, _)| *newest);
        let other_history = newest.is_some_and(|newest| !self.control.read(|view| view.holds(newest)));
        if other_history || newest.is_none_or(|newest| newest.revision < commit.revision) {
            if slot.changes.len() == KEPT_CHANGES {
                slot.changes.pop_front();
            }
            slot.changes.push_back((point, frame.clone()));
        }
        frame
    }

    /// A position, with the proof that it was told.
    pub(super) fn position(&self, point: Point) -> agent::Position {
        agent::Position {
            incarnation: point.incarnation.as_bytes().to_vec(),
            revision: point.revision,
            mark: self.seal.position(&self.control.store_id(), point),
        }
    }

    fn slots(&self, id: ClusterId) -> Arc<Mutex<Slots>> {
        Arc::clone(self.slots.lock().entry(id).or_default())
    }

    fn change_message(&self, id: ClusterId, commit: &Commit, point: Point) -> agent::Change {
        let mut message = agent::Change {
            revision: commit.revision,
            position: Some(self.position(point)),
            ..agent::Change::default()
        };
        let concerned = commit
            .changes
            .iter()
            .filter(|c| c.concerns_agents() && c.cluster == Some(id));
        for change in concerned {
            let gone = change.op == Op::Delete;
            match &change.object {
                Object::Cluster(_) | Object::Network(_) => {
                    let cluster = self.control.read(|view| cluster_message(&self.seal, view, id));
                    message.put.extend(cluster.map(|cluster| cluster.item()));
                }
                Object::Node(node) if gone => message.drop.push(older::key(ItemKind::Node, *node.id.as_bytes())),
                Object::Node(node) => message.put.push(node_message(node).item()),
                Object::Block(block) if gone => message.drop.push(older::key(ItemKind::Block, *block.id.as_bytes())),
                Object::Block(block) => {
                    let machine = self.control.read(|view| machine(view, block));
                    message.put.push(block_message(&self.seal, block, machine).item());
                }
                _ => {}
            }
        }
        message
    }
}

/// Handles cloned out of the view, to be encoded without its lock.
struct Parts {
    cluster: agent::Cluster,
    nodes: Vec<Arc<Node>>,
    blocks: Vec<(Arc<Block>, Option<[u8; 32]>)>,
}

impl Parts {
    fn read(seal: &Seal, view: &View, id: ClusterId) -> Option<Self> {
        let with_machine = |block: &Arc<Block>| (Arc::clone(block), machine(view, block));
        Some(Self {
            cluster: cluster_message(seal, view, id)?,
            nodes: view.nodes_of(id).cloned().collect(),
            blocks: view.blocks_of(id).map(with_machine).collect(),
        })
    }

    fn encode(
        self,
        seal: &Seal,
        dialect: Dialect,
        cluster_revision: Revision,
        head: Point,
        position: agent::Position,
    ) -> Encoded {
        let nodes = self.nodes.iter().map(|node| node_message(node).item());
        let blocks = self
            .blocks
            .iter()
            .map(|(block, machine)| block_message(seal, block, *machine).item());
        let all = std::iter::once(self.cluster.item()).chain(nodes).chain(blocks);
        // What was made here reads as it was made.
        let items: Items = all.filter_map(|item| read(item).ok()).collect();
        let (digest, snapshots) = match dialect {
            Dialect::Newest => (items.digest(), in_parts(&items)),
            Dialect::Older => (older::digest(&items), in_older_parts(&items)),
        };
        let last = snapshots.len() - 1;
        let mut position = Some(position);
        let parts = snapshots.into_iter().enumerate().map(|(at, snapshot)| {
            frame(Out::Snapshot(agent::Snapshot {
                revision: head.revision,
                more: at < last,
                position: position.take().filter(|_| dialect == Dialect::Newest),
                ..snapshot
            }))
        });
        Encoded {
            cluster_revision,
            digest,
            parts: parts.collect(),
            head,
        }
    }
}

fn in_parts(items: &Items) -> Vec<agent::Snapshot> {
    let items: Vec<agent::Item> = items.iter().collect();
    let part = |items: &[agent::Item]| agent::Snapshot {
        items: items.to_vec(),
        ..agent::Snapshot::default()
    };
    items.chunks(SNAPSHOT_PART).map(part).collect()
}

/// As version 1 takes it: the cluster comes first.
fn in_older_parts(items: &Items) -> Vec<agent::Snapshot> {
    let (cluster, nodes, blocks) = older::parts(items);
    let mut snapshots = vec![agent::Snapshot {
        cluster,
        ..agent::Snapshot::default()
    }];
    let full = |s: &agent::Snapshot| s.nodes.len() + s.blocks.len() == SNAPSHOT_PART;
    for node in nodes {
        room(&mut snapshots, full).nodes.push(node);
    }
    for block in blocks {
        room(&mut snapshots, full).blocks.push(block);
    }
    snapshots
}

/// The last part, or a new one if that is full.
fn room(parts: &mut Vec<agent::Snapshot>, full: impl Fn(&agent::Snapshot) -> bool) -> &mut agent::Snapshot {
    if parts.last().is_none_or(full) {
        parts.push(agent::Snapshot::default());
    }
    parts.last_mut().expect("there is one, or it was just pushed")
}

/// A frame to an agent.
pub(super) fn frame(message: Out) -> Bytes {
    ToAgent { message: Some(message) }.encode_to_vec().into()
}

fn cluster_message(seal: &Seal, view: &View, id: ClusterId) -> Option<agent::Cluster> {
    let cluster = view.cluster(id)?;
    let range = |subnet| view.subnet(subnet).map(|subnet| prefix_message(subnet.cidr));
    let path = match cluster.path {
        PathKind::Auto => agent::Path::Auto,
        PathKind::Routes => agent::Path::Routes,
        PathKind::Vxlan => agent::Path::Vxlan,
    };
    Some(agent::Cluster {
        id: id.as_bytes().to_vec(),
        name: cluster.name.clone(),
        node_ranges: range(cluster.node_subnet).into_iter().collect(),
        pod_ranges: range(cluster.pod_subnet).into_iter().collect(),
        service_ranges: vec![prefix_message(cluster.service_range)],
        path: path.into(),
        mtu: view.network(cluster.network).map_or(0, |network| network.mtu),
        probe_key: seal.probe_key(id),
    })
}

fn node_message(node: &Node) -> agent::Node {
    agent::Node {
        id: node.id.as_bytes().to_vec(),
        name: node.name.clone(),
        addresses: node.addresses.iter().map(|address| address_bytes(*address)).collect(),
        machine: node.machine().map(|machine| machine.to_vec()).unwrap_or_default(),
    }
}

/// The machine that holds a block.
fn machine(view: &View, block: &Block) -> Option<[u8; 32]> {
    view.node(block.node)?.machine()
}

fn block_message(seal: &Seal, block: &Block, machine: Option<[u8; 32]>) -> agent::Block {
    let lease = machine.map(|machine| {
        seal.lease(&Lease {
            cluster: block.cluster,
            node: block.node,
            machine,
            block: block.id,
            prefix: block.cidr,
            leased_at: block.meta.revision,
        })
    });
    agent::Block {
        id: block.id.as_bytes().to_vec(),
        node_id: block.node.as_bytes().to_vec(),
        prefix: Some(prefix_message(block.cidr)),
        lease: lease.unwrap_or_default(),
        leased_at: block.meta.revision,
    }
}

#[cfg(test)]
mod tests {
    use portolan_shared::addr::{Cidr, Family, from_bits};
    use portolan_shared::ids::{BlockId, NodeId, ProjectId, SubnetId};

    use super::*;
    use portolan_core::model::Meta;

    #[test]
    fn a_large_cluster_comes_in_parts() {
        let cluster = ClusterId::from_bytes([1; 16]);
        let block = |n: usize| {
            let block = Arc::new(Block {
                id: BlockId::from_bytes((n as u128).to_be_bytes()),
                meta: Meta {
                    project: ProjectId::from_bytes([1; 16]),
                    revision: 1,
                    revision_number: 0,
                    created_at: 0,
                    updated_at: 0,
                },
                cluster,
                node: NodeId::from_bytes([2; 16]),
                subnet: SubnetId::from_bytes([3; 16]),
                cidr: Cidr::containing(from_bits(Family::V4, (n as u128) << 6), 26).unwrap(),
            });
            (block, Some([9; 32]))
        };
        let sent = |dialect| {
            let parts = Parts {
                cluster: agent::Cluster {
                    id: cluster.as_bytes().to_vec(),
                    ..agent::Cluster::default()
                },
                nodes: Vec::new(),
                blocks: (0..=SNAPSHOT_PART).map(block).collect(),
            };
            let head = Point {
                revision: 9,
                ..Point::default()
            };
            let encoded = parts.encode(&Seal::new(b"secret"), dialect, 7, head, agent::Position::default());
            let part = |frame: &Bytes| match ToAgent::decode(frame.clone()).unwrap().message {
                Some(Out::Snapshot(part)) => (
                    part.revision,
                    part.cluster.is_some(),
                    part.blocks.len(),
                    part.items.len(),
                    part.position.is_some(),
                    part.more,
                ),
                other => panic!("{other:?}"),
            };
            encoded.parts.iter().map(part).collect::<Vec<_>>()
        };
        assert_eq!(
            sent(Dialect::Newest),
            [(9, false, 0, SNAPSHOT_PART, true, true), (9, false, 0, 2, false, false)]
        );
        assert_eq!(
            sent(Dialect::Older),
            [(9, true, SNAPSHOT_PART, 0, false, true), (9, false, 1, 0, false, false)]
        );
    }
}
