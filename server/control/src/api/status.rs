//! A port's status from what the view knows: the port, its node, and how that is doing.
//!
//! [`Nodes`] takes out of the view, in one go, what the status of many ports depends on; the
//! derivation itself ([`portolan_shared::status`]) then runs without the lock.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use portolan_core::model::{Block, Exception, Node, NodeStatus, Port, Revision, owner};
use portolan_core::view::View;
use portolan_shared::ids::{BlockId, NodeId, PortId};
use portolan_shared::status::{Beside, Cause, NodeFacts, PortFacts, PortStatus, Reason, derive, node};
use portolan_shared::time::Time;
use portolan_shared::v1::NodeState as NodeWord;

/// Whom something that a node's kernel refused concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Concern {
    /// The node itself, or a block of its own.
    Own,
    /// A pod of its.
    Pod,
    /// A block of another node.
    Others,
}

/// What the status of a node's ports depends on.
#[derive(Debug, Clone)]
pub struct NodeState {
    /// The node as it is stored.
    pub node: Arc<Node>,
    /// How it is doing; `None` if it never reported.
    pub status: Option<Arc<NodeStatus>>,
    /// Blocks it leases.
    pub blocks: Vec<Arc<Block>>,
    /// The last commit that changed what its cluster's agents are sent.
    pub cluster_revision: Revision,
}

impl NodeState {
    /// From the view.
    pub fn of(view: &View, node: &Arc<Node>) -> Self {
        Self {
            node: Arc::clone(node),
            status: view.node_status(node.id).cloned(),
            blocks: view.blocks_of_node(node.id).cloned().collect(),
            cluster_revision: view.cluster_revision(node.cluster),
        }
    }

    /// Facts of the node itself: it should have everything its cluster's agents are sent.
    pub fn facts(&self) -> NodeFacts {
        self.facts_for(self.cluster_revision, |e| self.concern(e) == Concern::Own)
    }

    /// Its state, and why.
    pub fn word(&self) -> (NodeWord, Option<Cause>) {
        node(self.facts(), &self.beside())
    }

    /// What its kernel refused.
    pub fn exceptions(&self) -> &[Exception] {
        self.status.as_ref().map_or(&[], |status| &status.exceptions)
    }

    /// What has trouble on it without the node itself having any.
    fn beside(&self) -> Beside {
        let mut pods = self.exceptions().iter().filter(|e| self.concern(e) == Concern::Pod);
        let first = pods.next().map(|e| e.reason.clone());
        let more = u64::try_from(pods.count()).unwrap_or(u64::MAX);
        Beside {
            pods: first.map(|words| (more.saturating_add(1), words)),
        }
    }

    /// Whom an exception concerns. One that only says how many are not listed bears the node's id: there are so many
    /// that it is the node that has trouble.
    fn concern(&self, exception: &Exception) -> Concern {
        let block = BlockId::from_bytes(exception.id);
        match &*exception.kind {
            "port" if exception.id != *self.node.port.as_bytes() => Concern::Pod,
            "block" if exception.id != *self.node.id.as_bytes() && self.blocks.iter().all(|own| own.id != block) => {
                Concern::Others
            }
            _ => Concern::Own,
        }
    }

    fn facts_for(&self, wanted_revision: Revision, concerns: impl Fn(&Exception) -> bool) -> NodeFacts {
        let status = self.status.as_ref();
        let exception = self.exceptions().iter().find(|e| concerns(e));
        NodeFacts {
            name: self.node.name.clone(),
            joined: self.node.joined_at.is_some(),
            online: status.is_some_and(|s| s.online),
            since: status
                .map(|s| s.since)
                .or(self.node.joined_at)
                .unwrap_or(self.node.meta.created_at),
            applied_revision: status.map_or(0, |s| s.applied_revision),
            wanted_revision,
            exception: exception.map(|e| (e.reason.clone(), e.attempts)),
        }
    }

    /// The block that holds an address.
    fn block_of(&self, address: IpAddr) -> Option<&Arc<Block>> {
        self.blocks.iter().find(|block| block.cidr.contains(address))
    }

    /// Facts of a port of this node. A pod's port is there once its block is: the agent gave the
    /// address out of it. Any other is there once the node's row is.
    fn port_facts(&self, port: &Port) -> NodeFacts {
        let block = match &*port.device_owner {
            owner::POD => port.fixed_ips.first().and_then(|ip| self.block_of(ip.address)),
            _ => None,
        };
        let wanted = block.map_or(self.node.meta.revision, |block| block.meta.revision);
        let block: Option<BlockId> = block.map(|block| block.id);
        let (node, port): (NodeId, PortId) = (self.node.id, port.id);
        self.facts_for(wanted, |e| match &*e.kind {
            "port" => e.id == *port.as_bytes(),
            "block" => block.is_some_and(|block| e.id == *block.as_bytes()),
            "node" => e.id == *node.as_bytes(),
            _ => false,
        })
    }
}

/// The nodes that some ports are bound to.
#[derive(Debug, Clone, Default)]
pub struct Nodes(HashMap<NodeId, NodeState>);

impl Nodes {
    /// Takes out of the view what the status of these ports depends on.
    pub fn of<'a>(view: &View, ports: impl IntoIterator<Item = &'a Arc<Port>>) -> Self {
        let mut nodes = HashMap::new();
        for id in ports.into_iter().filter_map(|port| port.node) {
            if let std::collections::hash_map::Entry::Vacant(place) = nodes.entry(id)
                && let Some(node) = view.node(id)
            {
                place.insert(NodeState::of(view, node));
            }
        }
        Self(nodes)
    }

    /// A node.
    pub fn get(&self, id: NodeId) -> Option<&NodeState> {
        self.0.get(&id)
    }

    /// Facts of a port.
    pub fn facts(&self, port: &Port) -> PortFacts {
        PortFacts {
            enabled: port.admin_state_up,
            has_address: !port.fixed_ips.is_empty(),
            node: port.node.and_then(|id| self.get(id)).map(|node| node.port_facts(port)),
        }
    }

    /// Status of a port, and why when it is not active.
    pub fn status(&self, port: &Port) -> (PortStatus, Option<Cause>) {
        derive(&self.facts(port))
    }

    /// Name of the node a port is bound to, or the host a client set.
    pub fn host<'a>(&'a self, port: &'a Port) -> &'a str {
        port.node
            .and_then(|id| self.get(id))
            .map_or(&*port.host, |node| &*node.node.name)
    }
}

/// The word of the Networking API: what is switched off is `DOWN` there.
pub const fn networking_word(status: PortStatus) -> &'static str {
    match status {
        PortStatus::Active => "ACTIVE",
        PortStatus::Build => "BUILD",
        PortStatus::Down | PortStatus::Disabled => "DOWN",
        PortStatus::Error => "ERROR",
    }
}

/// A cause as it goes on the wire.
pub fn reason(cause: &Cause) -> Reason {
    cause.reason(|micros| Time(micros).to_string())
}
