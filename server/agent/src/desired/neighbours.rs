//! Whom the node probes, by the desired state.

use std::collections::BTreeMap;
use std::net::IpAddr;

use portolan_plan::probes::ProbeKey;
use portolan_shared::addr::{Cidr, Family};
use portolan_shared::ids::NodeId;
use portolan_wire::agent::{Block, Node};
use portolan_wire::field;

use super::{Id, State, address};

/// Another node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address between nodes.
    pub host: IpAddr,
    /// Where its pod end is, unless it says otherwise: the last address of its first block.
    pub pod: IpAddr,
}

/// This node among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbours {
    /// What they know each other by.
    pub key: ProbeKey,
    /// This node's address between nodes.
    pub host: IpAddr,
    /// The others that have a block.
    pub peers: BTreeMap<NodeId, Peer>,
}

impl State {
    /// Whom `own` probes, in the family that pods have first; `None` while the control plane has said too little, or is of
    /// a version that knows no probes. Cost: all nodes and blocks are decoded.
    pub fn neighbours(&self, own: NodeId) -> Option<Neighbours> {
        let cluster = self.cluster()?;
        let key = ProbeKey::new(<[u8; 32]>::try_from(&cluster.probe_key[..]).ok()?);
        let ranges = field::prefixes("pod_ranges", &cluster.pod_ranges).ok()?;
        let family = ranges.first()?.family();
        let mut first: BTreeMap<Id, Cidr> = BTreeMap::new();
        for block in self.items.all::<Block>() {
            let prefix = block
                .prefix
                .as_ref()
                .and_then(|prefix| field::prefix("prefix", prefix).ok());
            if let (Some(prefix), Ok(node)) = (prefix, Id::try_from(&block.node_id[..]))
                && prefix.family() == family
            {
                first.entry(node).or_insert(prefix);
            }
        }
        let host = |node: &Node| {
            let addresses = node.addresses.iter().filter_map(|bytes| address(bytes));
            addresses.into_iter().find(|address| Family::of(*address) == family)
        };
        let peer = |node: Node| {
            let id = Id::try_from(&node.id[..]).ok()?;
            let block = first.get(&id)?;
            let range = ranges.iter().find(|range| range.overlaps(block));
            let last = range.map_or(block.last(), |range| block.last().min(range.hosts().last()));
            let peer = Peer {
                host: host(&node)?,
                pod: last,
            };
            Some((NodeId::from_bytes(id), peer))
        };
        let nodes = self.items.all::<Node>().filter(|node| node.id != own.as_bytes());
        Some(Neighbours {
            key,
            host: host(&self.items.get::<Node>(*own.as_bytes())?)?,
            peers: nodes.filter_map(peer).collect(),
        })
    }
}
