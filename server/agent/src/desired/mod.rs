//! The desired state of the cluster as last received: what the control plane sends, checked, put
//! together, and turned into what this host plans by.
//!
//! Pure; [`disk`] keeps it. A revision that was received is never gone back from within a store:
//! what is older is refused, what is known already is skipped.

pub mod disk;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use portolan_plan::{Desired, NodeAddresses, OwnBlock, RemoteBlock};
use portolan_shared::ids::{BlockId, NodeId};
use portolan_wire::agent::{Block, Change, Cluster, Node, Snapshot};
use portolan_wire::digest::{self, Digest};
use portolan_wire::field::{self, BadField};

type Id = [u8; 16];

/// Why what was sent is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is not as the protocol says.
    #[error("the control plane sent what the protocol does not allow")]
    Malformed(#[from] BadField),
    /// The same store has told a newer state before.
    #[error("the control plane offers revision {offered}, but this node has {have} of the same store")]
    Older {
        /// What it offers.
        offered: u64,
        /// What is here.
        have: u64,
    },
    /// A part of a snapshot that does not go on where the last ended.
    #[error("a part of a snapshot is missing")]
    Parts,
}

/// A cluster's desired state at a revision of a store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    store: Id,
    revision: u64,
    cluster: Option<Cluster>,
    nodes: BTreeMap<Id, Node>,
    blocks: BTreeMap<Id, Block>,
}

impl State {
    /// Which store the revision counts in; zeros when there is no state yet.
    pub fn store(&self) -> &Id {
        &self.store
    }

    /// The revision; 0 when there is no state yet.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// What the control plane compares, to know whether this is what it would send.
    pub fn digest(&self) -> Digest {
        digest::of(self.cluster.as_ref(), self.nodes.values(), self.blocks.values())
    }

    /// Whether another state asks the same of this node; revisions may differ.
    pub fn is_same(&self, other: &Self) -> bool {
        self.store == other.store
            && self.cluster == other.cluster
            && self.nodes == other.nodes
            && self.blocks == other.blocks
    }

    /// How many blocks this node leases.
    pub fn own_blocks(&self, own: NodeId) -> usize {
        self.blocks
            .values()
            .filter(|block| block.node_id == own.as_bytes())
            .count()
    }

    /// Takes a commit's changes; false if they were known already.
    ///
    /// # Errors
    /// If something of it is not as the protocol says; nothing is taken then.
    pub fn change(&mut self, change: Change) -> Result<bool, Rejected> {
        if change.revision <= self.revision {
            return Ok(false);
        }
        let cluster = change.cluster.map(checked_cluster).transpose()?;
        let put_nodes: Vec<(Id, Node)> = change
            .put_nodes
            .into_iter()
            .map(checked_node)
            .collect::<Result<_, _>>()?;
        let put_blocks: Vec<(Id, Block)> = change
            .put_blocks
            .into_iter()
            .map(checked_block)
            .collect::<Result<_, _>>()?;
        let ids = |name, all: &[Vec<u8>]| all.iter().map(|id| field::id(name, id)).collect::<Result<Vec<Id>, _>>();
        let (drop_nodes, drop_blocks) = (
            ids("drop_nodes", &change.drop_nodes)?,
            ids("drop_blocks", &change.drop_blocks)?,
        );

        self.cluster = cluster.or(self.cluster.take());
        drop_nodes.iter().for_each(|id| drop(self.nodes.remove(id)));
        drop_blocks.iter().for_each(|id| drop(self.blocks.remove(id)));
        self.nodes.extend(put_nodes);
        self.blocks.extend(put_blocks);
        self.revision = change.revision;
        Ok(true)
    }

    /// Everything up to `head` has been received. True if the revision moved.
    pub fn progress(&mut self, head: u64) -> bool {
        let moves = self.cluster.is_some() && head > self.revision;
        if moves {
            self.revision = head;
        }
        moves
    }

    /// What this node plans by. `own` is this node.
    pub fn desired(&self, own: NodeId) -> Desired {
        let Some(cluster) = &self.cluster else {
            return Desired::default();
        };
        let via = |id: &[u8]| -> NodeAddresses {
            let node = Id::try_from(id).ok().and_then(|id| self.nodes.get(&id));
            let addresses = node.map(|node| node.addresses.as_slice()).unwrap_or_default();
            addresses.iter().filter_map(|bytes| address(bytes)).collect()
        };
        let mut desired = Desired {
            complete: true,
            node: via(own.as_bytes()),
            mtu: cluster.mtu,
            // All of it was checked when it was received.
            pod_ranges: field::prefixes("pod_ranges", &cluster.pod_ranges).unwrap_or_default(),
            own_blocks: Vec::new(),
            remote_blocks: Vec::new(),
        };
        for (id, block) in &self.blocks {
            let id = BlockId::from_bytes(*id);
            let Some(Ok(prefix)) = block.prefix.as_ref().map(|prefix| field::prefix("prefix", prefix)) else {
                continue;
            };
            if block.node_id == own.as_bytes() {
                desired.own_blocks.push(OwnBlock { id, prefix });
            } else {
                desired.remote_blocks.push(RemoteBlock {
                    id,
                    prefix,
                    via: via(&block.node_id),
                });
            }
        }
        desired
    }

    /// The state as one snapshot.
    fn to_snapshot(&self) -> Snapshot {
        Snapshot {
            revision: self.revision,
            cluster: self.cluster.clone(),
            nodes: self.nodes.values().cloned().collect(),
            blocks: self.blocks.values().cloned().collect(),
            more: false,
        }
    }
}

/// A snapshot on its way, in parts.
#[derive(Debug, Default)]
pub struct Arriving {
    parts: Option<State>,
}

impl Arriving {
    /// Takes the next part; the state once the last is there. `have` is the state it will replace.
    ///
    /// # Errors
    /// If it is older than `have` in the same store, or not as the protocol says.
    pub fn part(&mut self, store: Id, part: Snapshot, have: &State) -> Result<Option<State>, Rejected> {
        if store == have.store && part.revision < have.revision {
            return Err(Rejected::Older {
                offered: part.revision,
                have: have.revision,
            });
        }
        let mut state = match (self.parts.take(), part.cluster) {
            (None, None) => return Err(Rejected::Parts),
            (Some(state), None) if state.revision == part.revision => state,
            (Some(_), None) => return Err(Rejected::Parts),
            // A first part begins anew, also when a snapshot was cut off by another.
            (_, Some(cluster)) => {
                let cluster = Some(checked_cluster(cluster)?);
                State {
                    store,
                    revision: part.revision,
                    cluster,
                    ..State::default()
                }
            }
        };
        for node in part.nodes {
            let (id, node) = checked_node(node)?;
            state.nodes.insert(id, node);
        }
        for block in part.blocks {
            let (id, block) = checked_block(block)?;
            state.blocks.insert(id, block);
        }
        if part.more {
            self.parts = Some(state);
            return Ok(None);
        }
        Ok(Some(state))
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    field::address("addresses", bytes).ok()
}

fn checked_cluster(cluster: Cluster) -> Result<Cluster, BadField> {
    field::id("cluster.id", &cluster.id)?;
    field::prefixes("pod_ranges", &cluster.pod_ranges)?;
    field::prefixes("node_ranges", &cluster.node_ranges)?;
    field::prefixes("service_ranges", &cluster.service_ranges)?;
    Ok(cluster)
}

fn checked_node(node: Node) -> Result<(Id, Node), BadField> {
    field::addresses("addresses", &node.addresses)?;
    Ok((field::id("node.id", &node.id)?, node))
}

fn checked_block(block: Block) -> Result<(Id, Block), BadField> {
    field::id("node_id", &block.node_id)?;
    field::prefix("prefix", block.prefix.as_ref().ok_or(BadField::Missing("prefix"))?)?;
    Ok((field::id("block.id", &block.id)?, block))
}
