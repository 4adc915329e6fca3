//! The desired state of the cluster as last received: what the control plane sends, checked, put
//! together, and turned into what this host plans by.
//!
//! Pure; [`disk`] keeps it. A revision that was received is never gone back from within a history: what is older is
//! refused, what is known already is skipped. A state of another history of the store is taken whatever its revision, but
//! not before the control plane has answered what it lacks of this one ([`Arriving`]).

mod arriving;
pub mod disk;
pub mod neighbours;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use portolan_plan::{Desired, NodeAddresses, OwnBlock, RemoteBlock};
use portolan_shared::ids::{BlockId, NodeId};
use portolan_wire::agent::{Block, Change, Cluster, Node, Position, Snapshot, Span};
use portolan_wire::digest::Digest;
use portolan_wire::field::{self, BadField};
use portolan_wire::item::{Items, read};
use portolan_wire::older;

pub use arriving::{Arriving, Received};

type Id = [u8; 16];

/// Why what was sent is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is not as the protocol says.
    #[error("the control plane sent what the protocol does not allow")]
    Malformed(#[from] BadField),
    /// The same history has told a newer state before.
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
    /// The newest position that the control plane told, with its proof; not newer than `revision`.
    position: Option<Position>,
    /// The runs of writers that the control plane named last.
    history: Vec<Span>,
    items: Items,
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

    /// Which point of which history it is, as the control plane told it.
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The run that the revision counts in; empty: none is known.
    pub fn incarnation(&self) -> &[u8] {
        self.position
            .as_ref()
            .map(|position| &position.incarnation[..])
            .unwrap_or_default()
    }

    /// The runs that the control plane named last.
    pub fn history(&self) -> &[Span] {
        &self.history
    }

    /// What the control plane compares, to know whether this is what it would send.
    pub fn digest(&self) -> Digest {
        self.items.digest()
    }

    /// The same for a control plane of the version before.
    pub fn older_digest(&self) -> Digest {
        older::digest(&self.items)
    }

    /// Whether another state asks the same of this node, and would be known again by the same proof; revisions may differ
    /// within a run.
    pub fn is_same(&self, other: &Self) -> bool {
        self.store == other.store && self.incarnation() == other.incarnation() && self.items == other.items
    }

    /// How many blocks this node leases.
    pub fn own_blocks(&self, own: NodeId) -> usize {
        let own = own.as_bytes();
        self.items.all::<Block>().filter(|block| block.node_id == own).count()
    }

    /// What is leased to this node, with the proofs.
    pub fn leases(&self, own: NodeId) -> Vec<Block> {
        let own = own.as_bytes();
        self.items.all::<Block>().filter(|block| block.node_id == own).collect()
    }

    /// Blocks that another state leases to this node and this one does not. In a state of another history these are blocks
    /// that the node had let go of, or that it never heard of: others may have been leased them since.
    pub fn regained(&self, other: &Self, own: NodeId) -> Vec<OwnBlock> {
        let had = self.desired(own).own_blocks;
        let mut regained = other.desired(own).own_blocks;
        regained.retain(|block| had.iter().all(|known| known.id != block.id));
        regained
    }

    /// Takes a commit's changes; false if they were known already.
    ///
    /// # Errors
    /// If something of it is not as the protocol says; nothing is taken then.
    pub fn change(&mut self, mut change: Change) -> Result<bool, Rejected> {
        if change.revision <= self.revision {
            return Ok(false);
        }
        let (revision, position) = (change.revision, change.position.take());
        let (put, dropped) = older::items_of_change(change)?;
        let put = put.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        dropped.into_iter().for_each(|id| self.items.drop(id));
        put.into_iter().for_each(|(id, body)| self.items.put(id, body));
        self.revision = revision;
        self.is_at(position);
        Ok(true)
    }

    /// Everything up to `head` has been received. True if the revision moved.
    pub fn progress(&mut self, head: u64, position: Option<Position>) -> bool {
        let moves = self.cluster().is_some() && head > self.revision;
        if moves {
            self.revision = head;
        }
        if head >= self.revision {
            self.is_at(position);
        }
        moves
    }

    /// The control plane says which point the state is now. One of the version before says nothing, and no run counts.
    fn is_at(&mut self, position: Option<Position>) {
        self.position = position;
    }

    /// The runs that the control plane names.
    pub fn name_history(&mut self, history: Vec<Span>) {
        self.history = history;
    }

    fn cluster(&self) -> Option<Cluster> {
        self.items.all::<Cluster>().next()
    }

    /// What this node plans by. `own` is this node.
    pub fn desired(&self, own: NodeId) -> Desired {
        let Some(cluster) = self.cluster() else {
            return Desired::default();
        };
        let via = |id: &[u8]| -> NodeAddresses {
            let node = Id::try_from(id).ok().and_then(|id| self.items.get::<Node>(id));
            let addresses = node.map(|node| node.addresses).unwrap_or_default();
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
        for block in self.items.all::<Block>() {
            let (Ok(id), Some(Ok(prefix))) = (
                field::id("block.id", &block.id),
                block.prefix.as_ref().map(|prefix| field::prefix("prefix", prefix)),
            ) else {
                continue;
            };
            let id = BlockId::from_bytes(id);
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
    pub fn to_snapshot(&self) -> Snapshot {
        Snapshot {
            revision: self.revision,
            items: self.items.iter().collect(),
            position: self.position.clone(),
            ..Snapshot::default()
        }
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    field::address("addresses", bytes).ok()
}
