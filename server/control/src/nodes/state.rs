//! What a cluster's agents are sent: the desired state, encoded once and shared by all of them.
//!
//! A snapshot is encoded once per cluster revision, a change once per commit and cluster; streams clone handles. When
//! three thousand agents of a cluster ask at once, it is encoded once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use portolan_core::change::{Commit, Op};
use portolan_core::model::{Block, Node, Object, Revision};
use portolan_core::view::View;
use portolan_shared::addr::Cidr;
use portolan_shared::ids::ClusterId;
use portolan_shared::v1::PathKind;
use portolan_wire::SNAPSHOT_PART;
use portolan_wire::agent::{self, ToAgent, to_agent::Message as Out};
use portolan_wire::digest::{self, Digest};
use portolan_wire::field::{address_bytes, prefix_message};
use prost::Message as _;
use tokio_tungstenite::tungstenite::Bytes;

use crate::control::Control;

/// How many encoded changes are kept per cluster, for streams that are up to date.
const KEPT_CHANGES: usize = 64;

/// A cluster's desired state, as its agents are sent it.
pub(super) struct Encoded {
    /// The cluster's revision: the commit that last changed the state.
    pub(super) cluster_revision: Revision,
    /// Digest of the state.
    pub(super) digest: Digest,
    /// Frames of a snapshot, in order.
    pub(super) parts: Vec<Bytes>,
    /// The revision written in the snapshot: the head when it was encoded.
    head: Revision,
}

#[derive(Default)]
struct Slot {
    snapshot: Option<Arc<Encoded>>,
    /// By revision, the newest last.
    changes: VecDeque<(Revision, Bytes)>,
}

/// All clusters' encoded states.
pub(super) struct States {
    control: Control,
    slots: Mutex<HashMap<ClusterId, Arc<Mutex<Slot>>>>,
}

impl States {
    pub(super) fn new(control: Control) -> Self {
        Self {
            control,
            slots: Mutex::default(),
        }
    }

    /// The state of a cluster, and the head up to which it is true. `None` if there is no such cluster.
    pub(super) fn current(&self, id: ClusterId) -> Option<(Arc<Encoded>, Revision)> {
        self.at_least(id, 0)
    }

    /// The frames of a snapshot for an agent that holds the state of a revision. They are never older: the agent would
    /// not take them. `None` if there is no such cluster.
    pub(super) fn snapshot(&self, id: ClusterId, holds: Revision) -> Option<Vec<Bytes>> {
        let (state, _) = self.at_least(id, holds)?;
        Some(state.parts.clone())
    }

    fn at_least(&self, id: ClusterId, oldest: Revision) -> Option<(Arc<Encoded>, Revision)> {
        let slot = self.slot(id);
        let mut slot = slot.lock();
        let cached = slot.snapshot.clone();
        let (stands, parts, revision, head) = self.control.read(|view| {
            let revision = view.cluster_revision(id);
            let stands = cached.filter(|cached| {
                cached.cluster_revision == revision && cached.head >= oldest && view.cluster(id).is_some()
            });
            let parts = if stands.is_none() { Parts::read(view, id) } else { None };
            (stands, parts, revision, view.head())
        });
        if let Some(encoded) = stands {
            return Some((encoded, head));
        }
        let Some(parts) = parts else {
            self.slots.lock().remove(&id);
            return None;
        };
        let encoded = Arc::new(parts.encode(revision, head));
        slot.snapshot = Some(Arc::clone(&encoded));
        Some((encoded, head))
    }

    /// The frame that tells a cluster's agents of a commit.
    pub(super) fn change(&self, id: ClusterId, commit: &Commit) -> Bytes {
        let slot = self.slot(id);
        let mut slot = slot.lock();
        if let Some((_, frame)) = slot
            .changes
            .iter()
            .rev()
            .find(|(revision, _)| *revision == commit.revision)
        {
            return frame.clone();
        }
        let frame = frame(Out::Change(self.change_message(id, commit)));
        // A stream far behind asks for old commits. They are not kept: they would push out what all others need.
        if slot.changes.back().is_none_or(|(newest, _)| *newest < commit.revision) {
            if slot.changes.len() == KEPT_CHANGES {
                slot.changes.pop_front();
            }
            slot.changes.push_back((commit.revision, frame.clone()));
        }
        frame
    }

    fn slot(&self, id: ClusterId) -> Arc<Mutex<Slot>> {
        Arc::clone(self.slots.lock().entry(id).or_default())
    }

    fn change_message(&self, id: ClusterId, commit: &Commit) -> agent::Change {
        let mut message = agent::Change {
            revision: commit.revision,
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
                    message.cluster = self.control.read(|view| cluster_message(view, id));
                }
                Object::Node(node) if gone => message.drop_nodes.push(node.id.as_bytes().to_vec()),
                Object::Node(node) => message.put_nodes.push(node_message(node)),
                Object::Block(block) if gone => message.drop_blocks.push(block.id.as_bytes().to_vec()),
                Object::Block(block) => message.put_blocks.push(block_message(block)),
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
    blocks: Vec<Arc<Block>>,
}

impl Parts {
    fn read(view: &View, id: ClusterId) -> Option<Self> {
        Some(Self {
            cluster: cluster_message(view, id)?,
            nodes: view.nodes_of(id).cloned().collect(),
            blocks: view.blocks_of(id).cloned().collect(),
        })
    }

    fn encode(self, cluster_revision: Revision, head: Revision) -> Encoded {
        let nodes: Vec<agent::Node> = self.nodes.iter().map(|node| node_message(node)).collect();
        let blocks: Vec<agent::Block> = self.blocks.iter().map(|block| block_message(block)).collect();
        let digest = digest::of(Some(&self.cluster), &nodes, &blocks);
        let mut snapshots = vec![agent::Snapshot {
            cluster: Some(self.cluster),
            ..agent::Snapshot::default()
        }];
        let full = |s: &agent::Snapshot| s.nodes.len() + s.blocks.len() == SNAPSHOT_PART;
        for node in nodes {
            room(&mut snapshots, full).nodes.push(node);
        }
        for block in blocks {
            room(&mut snapshots, full).blocks.push(block);
        }
        let last = snapshots.len() - 1;
        let parts = snapshots.into_iter().enumerate().map(|(at, snapshot)| {
            frame(Out::Snapshot(agent::Snapshot {
                revision: head,
                more: at < last,
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

fn cluster_message(view: &View, id: ClusterId) -> Option<agent::Cluster> {
    let cluster = view.cluster(id)?;
    let range = |subnet| view.subnet(subnet).map(|subnet| prefix_message(subnet.cidr));
    let path = match cluster.path {
        PathKind::Auto => agent::Path::Auto,
        PathKind::Routes => agent::Path::Routes,
        PathKind::Vxlan => agent::Path::Vxlan,
    };
    let service: Cidr = cluster.service_range;
    Some(agent::Cluster {
        id: id.as_bytes().to_vec(),
        name: cluster.name.clone(),
        node_ranges: range(cluster.node_subnet).into_iter().collect(),
        pod_ranges: range(cluster.pod_subnet).into_iter().collect(),
        service_ranges: vec![prefix_message(service)],
        path: path.into(),
        mtu: view.network(cluster.network).map_or(0, |network| network.mtu),
    })
}

fn node_message(node: &Node) -> agent::Node {
    agent::Node {
        id: node.id.as_bytes().to_vec(),
        name: node.name.clone(),
        addresses: node.addresses.iter().map(|address| address_bytes(*address)).collect(),
    }
}

fn block_message(block: &Block) -> agent::Block {
    agent::Block {
        id: block.id.as_bytes().to_vec(),
        node_id: block.node.as_bytes().to_vec(),
        prefix: Some(prefix_message(block.cidr)),
    }
}

#[cfg(test)]
mod tests {
    use portolan_shared::addr::Family;
    use portolan_shared::addr::from_bits;
    use portolan_shared::ids::{BlockId, NodeId, ProjectId, SubnetId};

    use super::*;
    use portolan_core::model::Meta;

    #[test]
    fn a_large_cluster_comes_in_parts() {
        let cluster = ClusterId::from_bytes([1; 16]);
        let block = |n: usize| {
            Arc::new(Block {
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
            })
        };
        let parts = Parts {
            cluster: agent::Cluster::default(),
            nodes: Vec::new(),
            blocks: (0..=SNAPSHOT_PART).map(block).collect(),
        };
        let encoded = parts.encode(7, 9);
        let sent: Vec<_> = encoded
            .parts
            .iter()
            .map(|frame| match ToAgent::decode(frame.clone()).unwrap().message {
                Some(Out::Snapshot(part)) => (part.revision, part.cluster.is_some(), part.blocks.len(), part.more),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sent, [(9, true, SNAPSHOT_PART, true), (9, false, 1, false)]);
    }
}
